"""Salesforce as its REST API documents it: SOQL, invocable actions with a result for each input, collections."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route

NOW = "2026-02-01T10:00:00.000+0000"
BASE = "/services/data/v64.0"
FIELDS = {
    "Website",
    "OwnerId",
    "RS_Segment__c",
    "RS_Play__c",
    "RS_Owner__c",
    "RS_Since__c",
    "RS_Why__c",
    "RS_Next__c",
}


def failed(code: str, message: str, status: int = 400) -> Answer:
    return Answer(status, [{"errorCode": code, "message": message}])


@dataclass
class SalesforceServer(VendorServer):
    accounts: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "001000000000001AAA": {"Website": "https://www.acme.com/", "RS_Domain__c": "acme.com"}
        }
    )
    contacts: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "003000000000001AAA": {"Email": "ada@acme.com", "LastName": "Example", "Title": "CRO"}
        }
    )
    leads: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"00Q000000000001AAA": {"Email": "bo@acme.com", "LastName": "Example"}}
    )
    trackers: dict[str, dict[str, str]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    fields: set[str] = field(default_factory=lambda: set(FIELDS))
    gone: set[str] = field(default_factory=set)
    writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    unauthorized: ClassVar[Answer] = failed("INVALID_SESSION_ID", "Session expired or invalid", 401)

    @route("POST", "/services/oauth2/token")
    def token(self, request: Request) -> Answer:
        given = dict(request.form)
        if given.get("client_secret") != "the-secret":
            return Answer(400, {"error": "invalid_client", "error_description": "invalid client credentials"})
        return Answer(
            200, {"access_token": "the-access", "instance_url": "https://x", "token_type": "Bearer"}
        )

    @route("GET", f"{BASE}/limits")
    def limits(self, _: Request) -> Answer:
        return Answer(200, {"DailyApiRequests": {"Max": 100_000, "Remaining": 99_000}})

    @route("GET", f"{BASE}/query")
    def query(self, request: Request) -> Answer:
        soql = dict(request.query)["q"]
        return Answer(200, {"totalSize": 0, "done": True, "records": self._select(soql)})

    def _select(self, soql: str) -> list[dict[str, Any]]:
        literals = [one.replace("\\'", "'") for one in re.findall(r"'((?:[^'\\]|\\.)*)'", soql)]
        table = soql.split(" FROM ")[1].split(maxsplit=1)[0]
        if table == "Account":
            wanted = [one.strip("%") for one in literals]
            return [
                {"Id": number, **one}
                for number, one in self.accounts.items()
                if number not in self.gone and any(each in one["Website"] for each in wanted)
            ]
        if table in {"Contact", "Lead"}:
            rows = self.contacts if table == "Contact" else self.leads
            wanted = [one.lstrip("%@") for one in literals]
            return [
                {"Id": number, **one}
                for number, one in rows.items()
                if number not in self.gone and any(one["Email"].lower().endswith(each) for each in wanted)
            ]
        if table == "ActionCadenceTracker":
            return [
                {"Id": number, "CreatedDate": NOW}
                for number, one in self.trackers.items()
                if one["target"] == literals[0]
                and one["cadence"] == literals[1]
                and one["state"] in literals[2:]
            ]
        assert table == "Task", table
        return [{"Id": number, **one} for number, one in self.tasks.items() if one["Subject"] == literals[0]]

    @route("POST", f"{BASE}/actions/standard/([A-Za-z]+)")
    def act(self, request: Request, name: str) -> Answer:
        assert set(request.body) == {"inputs"}
        (given,) = request.body["inputs"]
        problem = {
            "assignTargetToSalesCadence": self._assign,
            "removeTargetFromSalesCadence": self._remove,
            "pauseSalesCadenceTracker": self._pause,
            "changeSalesCadenceTargetAssignee": self._assign_again,
        }[name](given)
        errors = (
            None if problem is None else [{"statusCode": problem, "message": problem.lower(), "fields": []}]
        )
        row = {"actionName": name, "errors": errors, "isSuccess": problem is None, "outputValues": None}
        return Answer(200 if problem is None else 400, [row])

    def _assign(self, given: dict[str, str]) -> str | None:
        target, cadence = given["targetId"], given["salesCadenceNameOrId"]
        people = self.contacts | self.leads
        if target in self.gone or target not in people:
            return "INVALID_CROSS_REFERENCE_KEY"
        self.trackers[self.next_id()] = {"target": target, "cadence": cadence, "state": "Running"}
        self.enrolled[people[target]["Email"].lower(), cadence] += 1
        return None

    def _remove(self, given: dict[str, str]) -> str | None:
        assert given["completionReasonCode"] == "ManuallyRemoved"
        self.trackers[given["actionCadenceTrackerId"]]["state"] = "Complete"
        return None

    def _pause(self, given: dict[str, str]) -> str | None:
        for one in self.trackers.values():
            if one["target"] == given["targetId"]:
                one["state"] = "Paused"
        return None

    def _assign_again(self, given: dict[str, str]) -> str | None:
        for one in self.trackers.values():
            if one["target"] == given["targetId"]:
                one["user"] = given["userId"]
        return None

    @route("POST", f"{BASE}/sobjects/Task")
    def make_task(self, request: Request) -> Answer:
        number = "00T" + self.next_id().zfill(12)
        self.tasks[number] = request.body
        self.told[request.body["Description"].rpartition("Resegment ")[2]] += 1
        return Answer(201, {"id": number, "success": True, "errors": []})

    @route("PATCH", f"{BASE}/sobjects/Task/RS_Key__c/([^/]+)")
    def upsert_task(self, request: Request, key: str) -> Answer:
        assert "RS_Key__c" not in request.body
        if key not in self.tasks:
            self.told[key] += 1
        self.tasks[key] = request.body
        return Answer(201, {"id": "00T000000000001", "success": True, "errors": [], "created": True})

    @route("PATCH", f"{BASE}/composite/sobjects")
    def write(self, request: Request) -> Answer:
        assert request.body["allOrNone"] is False
        assert len(request.body["records"]) <= 200
        rows: list[dict[str, Any]] = []
        for one in request.body["records"]:
            assert one["attributes"] == {"type": "Account"}
            values = {name: value for name, value in one.items() if name not in {"attributes", "id"}}
            for name in values:
                if name not in self.fields:
                    return failed("INVALID_FIELD", f"No such column '{name}' on sobject of type Account")
            if one["id"] in self.gone:
                error = {"statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted", "fields": []}
                rows.append({"success": False, "errors": [error]})
                continue
            self.accounts[one["id"]].update(values)
            self.writes.append((one["id"], values))
            rows.append({"id": one["id"], "success": True, "errors": []})
        return Answer(200, rows)
