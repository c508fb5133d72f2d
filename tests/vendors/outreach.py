"""Outreach as its documentation says: JSON:API, integer ids, 422 with errors, no key that makes a request idempotent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route

JSON_API = ("Content-Type", "application/vnd.api+json")


@dataclass
class OutreachServer(VendorServer):
    records: dict[str, dict[int, dict[str, Any]]] = field(
        default_factory=lambda: {
            "prospects": {
                7: {"type": "prospect", "attributes": {"emails": ["ada@acme.com"], "optedOut": False}, "relationships": {}},
                8: {"type": "prospect", "attributes": {"emails": ["bo@acme.com"], "optedOut": False}, "relationships": {}},
            },
            "sequenceStates": {},
            "tasks": {},
            "accounts": {},
            "mailboxes": {3: {"type": "mailbox", "attributes": {"email": "owner@example.com"}, "relationships": {}}},
        }
    )  # fmt: skip
    sequences: tuple[int, ...] = (54,)

    unauthorized: ClassVar[Answer] = Answer(
        401,
        {"errors": [{"id": "unauthorized", "title": "Unauthorized", "detail": "Access token is invalid."}]},
    )
    not_found: ClassVar[Answer] = Answer(
        404, {"errors": [{"id": "resourceNotFound", "title": "Resource Not Found"}]}
    )

    def answer(self, request: Request) -> Answer:
        if JSON_API not in request.headers and request.path.startswith("/api/v2"):
            return _fail(415, "unsupportedMediaType", "Expected Content-Type header to be JSON:API.")
        return super().answer(request)

    @route("GET", "/api/v2/(prospects|sequenceStates|tasks|accounts|mailboxes)")
    def collect(self, request: Request, kind: str) -> Answer:
        filters = {
            name[7:-1].replace("][", "."): value
            for name, value in request.query
            if name.startswith("filter[")
        }
        rows = [
            {"id": identity, **one} for identity, one in self.records[kind].items() if _matches(one, filters)
        ]
        return Answer(200, {"data": rows})

    @route("GET", "/api/v2/prospects/([0-9]+)")
    def fetch(self, _: Request, identity: str) -> Answer:
        found = self.records["prospects"].get(int(identity))
        return self.not_found if found is None else Answer(200, {"data": {"id": int(identity), **found}})

    @route("PATCH", "/api/v2/prospects/([0-9]+)")
    def change(self, request: Request, identity: str) -> Answer:
        found = self.records["prospects"].get(int(identity))
        if found is None:
            return self.not_found
        data = request.body["data"]
        assert (data["type"], data["id"]) == ("prospect", int(identity))
        found["attributes"].update(data.get("attributes", {}))
        found["relationships"].update(data.get("relationships", {}))
        return Answer(200, {"data": {"id": int(identity), **found}})

    @route("POST", "/api/v2/prospects")
    def create_prospect(self, request: Request) -> Answer:
        emails = request.body["data"]["attributes"]["emails"]
        known = {
            one.lower() for row in self.records["prospects"].values() for one in row["attributes"]["emails"]
        }
        if known & {one.lower() for one in emails}:
            return _fail(422, "validationError", "Contacts email hash has already been taken.")
        return self._keep("prospects", request)  # fmt: skip

    @route("POST", "/api/v2/accounts")
    def create_account(self, request: Request) -> Answer:
        return self._keep("accounts", request)

    @route("POST", "/api/v2/sequenceStates")
    def enroll(self, request: Request) -> Answer:
        relations = request.body["data"]["relationships"]
        prospect = self.records["prospects"].get(relations["prospect"]["data"]["id"])
        sequence = relations["sequence"]["data"]["id"]
        if prospect is None or sequence not in self.sequences:
            return self.not_found
        if "mailbox" not in relations:
            return _fail(422, "validationError", "Mailbox can't be blank.")
        if prospect["attributes"].get("optedOut"):
            return _fail(422, "validationError", "Prospect has opted out.")
        for one in self.records["sequenceStates"].values():
            same = all(one["relationships"][name] == relations[name] for name in ("prospect", "sequence"))
            if same and one["attributes"]["state"] not in ("finished", "failed"):
                return _fail(422, "validationError", "Prospect is already active in this sequence.")
        for email in prospect["attributes"]["emails"]:
            self.enrolled[email.lower(), str(sequence)] += 1
        return self._keep(
            "sequenceStates", request, {"state": "active", "createdAt": "2026-02-01T00:00:05.000Z"}
        )

    @route("POST", "/api/v2/sequenceStates/([0-9]+)/actions/(finish|pause)")
    def halt(self, _: Request, identity: str, action: str) -> Answer:
        found = self.records["sequenceStates"].get(int(identity))
        if found is None:
            return self.not_found
        if found["attributes"]["state"] in ("finished", "failed"):
            return _fail(422, "validationError", "Sequence state is already finished.")
        found["attributes"]["state"] = {"finish": "finished", "pause": "paused"}[action]
        return Answer(200, {"data": {"id": int(identity), **found}})

    @route("POST", "/api/v2/tasks")
    def task(self, request: Request) -> Answer:
        note = request.body["data"]["attributes"]["note"]
        self.told[note.rpartition("resegment:")[2]] += 1
        return self._keep("tasks", request)

    def _keep(self, kind: str, request: Request, more: dict[str, Any] | None = None) -> Answer:
        data = request.body["data"]
        identity = int(self.next_id())
        row = {
            "type": data["type"],
            "attributes": {**data.get("attributes", {}), **(more or {})},
            "relationships": data.get("relationships", {}),
        }
        self.records[kind][identity] = row
        return Answer(201, {"data": {"id": identity, **row}})


def _matches(one: dict[str, Any], filters: dict[str, str]) -> bool:
    for name, wanted in filters.items():
        if name.endswith(".id"):
            related = one["relationships"].get(name[:-3])
            if related is None or str(related["data"]["id"]) != wanted:
                return False
        elif name == "emails":
            if wanted.lower() not in [email.lower() for email in one["attributes"]["emails"]]:
                return False
        elif name == "domain" and one["attributes"].get("domain") != wanted:
            return False
    return True


def _fail(status: int, identity: str, detail: str) -> Answer:
    return Answer(status, {"errors": [{"id": identity, "title": identity, "detail": detail}]})
