"""Salesloft as its documentation says: people, cadence memberships and tasks; 422 with errors by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route


@dataclass
class SalesloftServer(VendorServer):
    people: dict[int, dict[str, Any]] = field(
        default_factory=lambda: {
            7: {"id": 7, "email_address": "ada@acme.com", "do_not_contact": False, "custom_fields": {}},
            8: {"id": 8, "email_address": "bo@acme.com", "do_not_contact": False, "custom_fields": {}},
        }
    )
    cadences: tuple[int, ...] = (54,)
    memberships: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)

    unauthorized: ClassVar[Answer] = Answer(401, {"error": "Not Authorized"})
    not_found: ClassVar[Answer] = Answer(404, {"error": "Not Found"})

    @route("GET", "/v2/me")
    def me(self, _: Request) -> Answer:
        return Answer(200, {"data": {"id": 2, "name": "Owner", "email": "owner@example.com"}})

    @route("GET", "/v2/people")
    def list_people(self, request: Request) -> Answer:
        emails = [one.lower() for name, one in request.query if name == "email_addresses[]"]
        rows = [one for one in self.people.values() if not emails or one["email_address"].lower() in emails]
        return _page(rows)

    @route("GET", "/v2/people/([0-9]+)")
    def show(self, _: Request, identity: str) -> Answer:
        found = self.people.get(int(identity))
        return self.not_found if found is None else Answer(200, {"data": found})

    @route("PUT", "/v2/people/([0-9]+)")
    def change(self, request: Request, identity: str) -> Answer:
        found = self.people.get(int(identity))
        if found is None:
            return self.not_found
        found.update(request.body)
        return Answer(200, {"data": found})

    @route("POST", "/v2/person_upserts")
    def upsert(self, request: Request) -> Answer:
        body = dict(request.body)
        assert body.pop("upsert_key") == "email_address"
        known = [one for one in self.people.values() if one["email_address"] == body["email_address"]]
        row = known[0] if known else {"id": int(self.next_id()), "do_not_contact": False}
        row.update(body)
        self.people[row["id"]] = row
        return Answer(200, {"data": row})

    @route("GET", "/v2/cadence_memberships")
    def list_memberships(self, request: Request) -> Answer:
        query = dict(request.query)
        wanted = (int(query["person_id"]), int(query["cadence_id"]))
        return _page(
            [
                one
                for one in self.memberships.values()
                if (one["person"]["id"], one["cadence"]["id"]) == wanted
            ]
        )

    @route("POST", "/v2/cadence_memberships")
    def enroll(self, request: Request) -> Answer:
        query = {name: int(one) for name, one in request.query}
        person = self.people.get(query["person_id"])
        if person is None or query["cadence_id"] not in self.cadences:
            return self.not_found
        if person["do_not_contact"]:
            return Answer(422, {"errors": {"person": ["is marked as do not contact"]}})
        for one in self.memberships.values():
            same = (one["person"]["id"], one["cadence"]["id"]) == (person["id"], query["cadence_id"])
            if same and one["currently_on_cadence"]:
                return Answer(422, {"errors": {"person": ["is already on this cadence"]}})
        self.enrolled[person["email_address"].lower(), str(query["cadence_id"])] += 1
        row = {
            "id": int(self.next_id()),
            "added_at": "2026-02-01T00:00:05.000000Z",
            "currently_on_cadence": True,
            "person": {"id": person["id"]},
            "cadence": {"id": query["cadence_id"]},
            "user": {"id": query.get("user_id")},
        }
        self.memberships[row["id"]] = row
        return Answer(200, {"data": row})

    @route("DELETE", "/v2/cadence_memberships/([0-9]+)")
    def remove(self, _: Request, identity: str) -> Answer:
        return self.not_found if self.memberships.pop(int(identity), None) is None else Answer(204)

    @route("GET", "/v2/accounts")
    def accounts(self, request: Request) -> Answer:
        return _page([{"id": 5, "domain": "acme.com"}] if ("domain", "acme.com") in request.query else [])

    @route("GET", "/v2/tasks")
    def list_tasks(self, request: Request) -> Answer:
        key = dict(request.query).get("idempotency_key")
        return _page([one for one in self.tasks.values() if key in (None, one["idempotency_key"])])

    @route("POST", "/v2/tasks")
    def task(self, request: Request) -> Answer:
        for name in ("subject", "person_id", "user_id", "task_type", "due_date"):
            if not request.body.get(name):
                return Answer(422, {"errors": {name: ["can't be blank"]}})
        key = request.body["idempotency_key"]
        if any(one["idempotency_key"] == key for one in self.tasks.values()):
            return Answer(409, {"error": "A task with this idempotency key exists."})
        self.told[key] += 1
        row = {"id": int(self.next_id()), **request.body}
        self.tasks[row["id"]] = row
        return Answer(201, {"data": row})


def _page(rows: list[dict[str, Any]]) -> Answer:
    return Answer(200, {"metadata": {"paging": {"per_page": 25, "current_page": 1}}, "data": rows})
