"""HubSpot as its 2026-03 API documents it: strict about required keys, 207 for batches that failed in part."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route

NOW = "2026-02-01T10:00:00Z"
PROPERTIES = {
    "domain",
    "name",
    "hubspot_owner_id",
    "rs_segment",
    "rs_play",
    "rs_owner",
    "rs_since",
    "rs_why",
    "rs_next",
}


def invalid(message: str) -> Answer:
    return Answer(400, {"status": "error", "category": "VALIDATION_ERROR", "message": message})


@dataclass
class HubSpotServer(VendorServer):
    """`gone` are contacts that were deleted; `refused` are ids of companies that a batch can't write."""

    companies: dict[str, dict[str, str]] = field(default_factory=lambda: {"901": {"domain": "acme.com"}})
    contacts: dict[str, dict[str, str]] = field(
        default_factory=lambda: {
            "51": {
                "email": "ada@acme.com",
                "firstname": "Ada",
                "jobtitle": "CRO",
                "hs_email_domain": "acme.com",
            }
        }
    )
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, set[str]] = field(default_factory=lambda: {"7": set()})
    enrollments: dict[str, dict[str, str]] = field(default_factory=dict)
    properties: set[str] = field(default_factory=lambda: set(PROPERTIES))
    gone: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    writes: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @route("GET", "/account-info/2026-03/details")
    def details(self, _: Request) -> Answer:
        return Answer(200, {"portalId": 4711, "uiDomain": "app.hubspot.com"})

    # Sequences

    @route("GET", "/automation/sequences/2026-03/enrollments/contact/([^/]+)")
    def status(self, _: Request, contact: str) -> Answer:
        there = self.enrollments.get(contact)
        return (
            Answer(404, {"status": "error", "category": "OBJECT_NOT_FOUND"})
            if there is None
            else Answer(200, there)
        )

    @route("POST", "/automation/sequences/2026-03/enrollments")
    def enroll(self, request: Request) -> Answer:
        body = request.body
        assert dict(request.query)["userId"]
        assert {"contactId", "senderEmail", "sequenceId"} <= set(body) <= {*body, "senderAliasAddress"}
        assert all(isinstance(one, str) for one in body.values())
        number = body["contactId"]
        if number in self.gone or number not in self.contacts:
            return Answer(
                404, {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "contact not found"}
            )
        there = self.enrollments.get(number)
        if there is not None and there["sequenceId"] == body["sequenceId"]:
            return invalid("The contact is already enrolled in a sequence")
        made = {"id": self.next_id(), "sequenceId": body["sequenceId"], "enrolledAt": NOW, "updatedAt": NOW}
        self.enrollments[number] = {**made, "toEmail": self.contacts[number]["email"]}
        self.enrolled[self.contacts[number]["email"].lower(), body["sequenceId"]] += 1
        return Answer(200, self.enrollments[number])

    # Lists

    @route("PUT", "/crm/lists/2026-03/([0-9]+)/memberships/add-and-remove")
    def change_list(self, request: Request, number: str) -> Answer:
        body = request.body
        assert set(body) == {"recordIdsToAdd", "recordIdsToRemove"}
        if number not in self.lists:
            return Answer(404, {"status": "error", "message": "list not found"})
        missing = [one for one in body["recordIdsToAdd"] if one not in self.contacts]
        added = set(body["recordIdsToAdd"]) - set(missing) - self.lists[number]
        self.lists[number] = (self.lists[number] | added) - set(body["recordIdsToRemove"])
        return Answer(
            200,
            {
                "recordIdsMissing": missing,
                "recordsIdsAdded": sorted(added),
                "recordIdsRemoved": body["recordIdsToRemove"],
            },
        )

    # Objects

    @route("POST", "/crm/objects/2026-03/(contacts|companies|tasks)/search")
    def search(self, request: Request, kind: str) -> Answer:
        body = request.body
        assert set(body) >= {"after", "filterGroups", "limit", "properties", "sorts"}
        assert isinstance(body["after"], str)
        records: Mapping[str, Mapping[str, str]] = getattr(self, kind)
        found = [
            {"id": number, "properties": {name: one.get(name) for name in body["properties"]}}
            for number, one in records.items()
            if number not in self.gone
            and any(_matches(one, group["filters"]) for group in body["filterGroups"])
        ]
        start = int(body["after"])
        page = found[start : start + body["limit"]]
        answer: dict[str, Any] = {"total": len(found), "results": page}
        if start + body["limit"] < len(found):
            answer["paging"] = {"next": {"after": str(start + body["limit"])}}
        return Answer(200, answer)

    @route("POST", "/crm/objects/2026-03/contacts/batch/upsert")
    def upsert_contacts(self, request: Request) -> Answer:
        made = []
        for one in request.body["inputs"]:
            assert one["idProperty"] == "email"
            known = {value["email"].lower(): number for number, value in self.contacts.items()}
            number = known.get(one["id"].lower()) or self.next_id()
            self.contacts.setdefault(number, {}).update({"email": one["id"], **one["properties"]})
            made.append(
                {"id": number, "properties": dict(self.contacts[number]), "new": one["id"] not in known}
            )
        return Answer(200, {"status": "COMPLETE", "results": made})

    @route("PUT", "/crm/objects/2026-03/contacts/([^/]+)/associations/default/companies/([^/]+)")
    def associate(self, _: Request, contact: str, company: str) -> Answer:
        self.links.setdefault(f"contacts of {company}", []).append(contact)
        return Answer(200, {"status": "COMPLETE", "results": []})

    @route("GET", "/crm/objects/2026-03/companies/([^/]+)/associations/tasks")
    def links_of(self, _: Request, company: str) -> Answer:
        rows = [{"toObjectId": int(one), "associationTypes": []} for one in self.links.get(company, [])]
        return Answer(200, {"results": rows})

    @route("POST", "/crm/objects/2026-03/tasks/batch/read")
    def read_tasks(self, request: Request) -> Answer:
        assert set(request.body) >= {"inputs", "properties", "propertiesWithHistory"}
        rows = [
            {"id": one["id"], "properties": self.tasks[one["id"]]}
            for one in request.body["inputs"]
            if one["id"] in self.tasks
        ]
        return Answer(200, {"status": "COMPLETE", "results": rows})

    @route("POST", "/crm/objects/2026-03/tasks")
    def make_task(self, request: Request) -> Answer:
        body = request.body
        assert set(body) == {"properties", "associations"}
        if not body["properties"].get("hs_timestamp"):
            return invalid("hs_timestamp is required")
        number = self.next_id()
        self.tasks[number] = body["properties"]
        for one in body["associations"]:
            if one["types"][0]["associationTypeId"] == 192:
                self.links.setdefault(one["to"]["id"], []).append(number)
        self.told[html.unescape(body["properties"]["hs_task_body"]).rpartition("Resegment ")[2]] += 1
        return Answer(201, {"id": number, "properties": body["properties"]})

    @route("POST", "/crm/objects/2026-03/companies/batch/(update|upsert)")
    def write_companies(self, request: Request, action: str) -> Answer:
        inputs = request.body["inputs"]
        for one in inputs:
            for name in one["properties"]:
                if name not in self.properties:
                    return invalid(
                        f'Property values were not valid: [{{"isValid":false,"message":"Property \\"{name}\\" does not '
                        f'exist","error":"PROPERTY_DOESNT_EXIST","name":"{name}"}}]'
                    )
        results, errors = [], []
        for one in inputs:
            assert all(isinstance(value, str) for value in one["properties"].values())
            number = one["id"] if action == "update" else self._by_domain(one["id"])
            if number in self.refused or number not in self.companies:
                errors.append(
                    {"category": "OBJECT_NOT_FOUND", "message": "no", "context": {"ids": [one["id"]]}}
                )
                continue
            self.companies[number].update(one["properties"])
            self.writes.append((number, one["properties"]))
            results.append({"id": number, "properties": dict(self.companies[number])})
        answer: dict[str, Any] = {"status": "COMPLETE", "results": results}
        return (
            Answer(207, {**answer, "numErrors": len(errors), "errors": errors})
            if errors
            else Answer(200, answer)
        )

    def _by_domain(self, domain: str) -> str:
        number = next(
            (one for one, value in self.companies.items() if value.get("domain") == domain), self.next_id()
        )
        self.companies.setdefault(number, {"domain": domain})
        return number


_OPERATORS: dict[str, Callable[[str, Mapping[str, Any]], bool]] = {
    "EQ": lambda value, one: value == one["value"],
    "IN": lambda value, one: value in one["values"],
}


def _matches(record: Mapping[str, str], filters: list[Mapping[str, Any]]) -> bool:
    return all(
        _OPERATORS[one["operator"]](str(record.get(one["propertyName"], "")).lower(), _lower(one))
        for one in filters
    )


def _lower(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "value": str(one.get("value", "")).lower(),
        "values": [str(each).lower() for each in one.get("values", [])],
    }
