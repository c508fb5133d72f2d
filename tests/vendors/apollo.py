"""Apollo as its documentation says: parameters in the query, contacts left out in a 200, no notice of a second task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route


@dataclass
class ApolloServer(VendorServer):
    contacts: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            one: {"id": one, "email": email, "email_unsubscribed": None, "contact_campaign_statuses": []}
            for one, email in (("c7", "ada@acme.com"), ("c8", "bo@acme.com"))
        }
    )
    sequences: tuple[str, ...] = ("s54",)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Contacts that are left out, with the reason."""

    unauthorized: ClassVar[Answer] = Answer(401, "Invalid API key. See https://docs.apollo.io/reference")

    @route("GET", "/api/v1/email_accounts")
    def email_accounts(self, _: Request) -> Answer:
        return Answer(200, {"email_accounts": [{"id": "m3", "email": "owner@example.com", "active": True}]})

    @route("POST", "/api/v1/contacts/search")
    def search(self, request: Request) -> Answer:
        words = request.body["q_keywords"].lower()
        rows = [one for one in self.contacts.values() if words in one["email"]]
        return Answer(200, {"contacts": rows, "pagination": {"page": 1, "total_pages": 1}})

    @route("GET", "/api/v1/contacts/([a-z0-9]+)")
    def show(self, _: Request, identity: str) -> Answer:
        found = self.contacts.get(identity)
        return (
            Answer(404, {"error": "Contact not found"}) if found is None else Answer(200, {"contact": found})
        )

    @route("PATCH", "/api/v1/contacts/([a-z0-9]+)")
    def change(self, request: Request, identity: str) -> Answer:
        self.contacts[identity].update(request.body)
        return Answer(200, {"contact": self.contacts[identity]})

    @route("POST", "/api/v1/contacts")
    def create(self, request: Request) -> Answer:
        identity = f"c{self.next_id()}"
        self.contacts[identity] = {"id": identity, "contact_campaign_statuses": [], **request.body}
        return Answer(200, {"contact": self.contacts[identity]})

    @route("POST", "/api/v1/contacts/update_owners")
    def give(self, request: Request) -> Answer:
        query = dict(request.query)
        for name, one in request.query:
            if name == "contact_ids[]":
                self.contacts[one]["owner_id"] = query["owner_id"]
        return Answer(200, {"contacts": []})

    @route("POST", "/api/v1/emailer_campaigns/([a-z0-9]+)/add_contact_ids")
    def add(self, request: Request, sequence: str) -> Answer:
        query = dict(request.query)
        if sequence not in self.sequences:
            return Answer(404, {"error": "Sequence not found"})
        if query["emailer_campaign_id"] != sequence or "send_email_from_email_account_id" not in query:
            return Answer(422, {"error": "Missing required parameters"})
        added, skipped = [], dict(self.left_out)
        for identity in [one for name, one in request.query if name == "contact_ids[]"]:
            contact = self.contacts[identity]
            states = contact["contact_campaign_statuses"]
            if any(one["emailer_campaign_id"] == sequence for one in states):
                skipped[identity] = "contacts_already_exists_in_current_campaign"
            elif added and query.get("sequence_same_company_in_same_campaign") != "true":
                skipped[identity] = "contacts_with_same_company"
            elif identity not in skipped:
                self.enrolled[contact["email"].lower(), sequence] += 1
                states.append(
                    {
                        "emailer_campaign_id": sequence,
                        "status": "active",
                        "added_at": "2026-02-01T00:00:05.000Z",
                    }
                )
                added.append(contact)
        return Answer(
            200, {"contacts": added, "skipped_contact_ids": skipped, "emailer_campaign": {"id": sequence}}
        )

    @route("POST", "/api/v1/emailer_campaigns/remove_or_stop_contact_ids")
    def stop(self, request: Request) -> Answer:
        assert dict(request.query)["mode"] == "stop"
        for name, one in request.query:
            if name == "contact_ids[]":
                for state in self.contacts[one]["contact_campaign_statuses"]:
                    state["status"] = "finished"
        return Answer(200, {"success": True, "contacts": []})

    @route("POST", "/api/v1/tasks/search")
    def list_tasks(self, _: Request) -> Answer:
        return Answer(
            200, {"tasks": self.tasks, "pagination": {"page": 1, "per_page": 100, "total_pages": 1}}
        )

    @route("POST", "/api/v1/tasks")
    def task(self, request: Request) -> Answer:
        for name in ("user_id", "contact_id", "type", "status", "due_at"):
            if not request.body.get(name):
                return Answer(422, {"error": f"{name} can not be blank"})
        self.told[request.body["note"].rpartition("resegment:")[2]] += 1
        self.tasks.append({"id": f"t{self.next_id()}", **request.body})
        return Answer(200, {"task": self.tasks[-1]})
