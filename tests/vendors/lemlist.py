"""lemlist as its documentation says: Basic authentication, errors as lines of text, a lead once per campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route

CAMPAIGN = "cam_A1B2C3D4E5F6G7H8I9"


@dataclass
class LemlistServer(VendorServer):
    leads: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "lea_7": {
                "_id": "lea_7",
                "email": "ada@acme.com",
                "contactId": "ctc_7",
                "campaignId": "cam_other",
            }
        }
    )
    campaigns: tuple[str, ...] = (CAMPAIGN,)

    unauthorized: ClassVar[Answer] = Answer(401, "The authentication you supplied is incorrect")
    not_found: ClassVar[Answer] = Answer(404, "Lead not found")

    @route("GET", "/api/team")
    def team(self, _: Request) -> Answer:
        return Answer(200, {"_id": "tea_1", "name": "Example"})

    @route("GET", "/api/leads")
    def find(self, request: Request) -> Answer:
        email = dict(request.query)["email"]
        rows = [one for one in self.leads.values() if one["email"].lower() == email]
        return Answer(200, rows) if rows else self.not_found

    @route("POST", "/api/campaigns/([A-Za-z0-9_]+)/leads/")
    def create(self, request: Request, campaign: str) -> Answer:
        if campaign not in self.campaigns:
            return Answer(404, "Campaign not found")
        email = request.body["email"].lower()
        places = [one["campaignId"] for one in self.leads.values() if one["email"].lower() == email]
        if campaign in places:
            return Answer(400, "Lead already in the campaign")
        if places and ("deduplicate", "true") in request.query:
            return Answer(400, "Lead already in an other campaign")
        assert all(isinstance(one, str) for one in request.body.values())
        self.enrolled[email, campaign] += 1
        identity = f"lea_{self.next_id()}"
        self.leads[identity] = {
            "_id": identity, "campaignId": campaign, "contactId": f"ctc_{identity}", "isPaused": False, **request.body
        }  # fmt: skip
        return Answer(200, self.leads[identity])

    @route("DELETE", "/api/campaigns/([A-Za-z0-9_]+)/leads/([A-Za-z0-9_]+)")
    def remove(self, request: Request, _: str, identity: str) -> Answer:
        assert ("action", "remove") in request.query, "it would unsubscribe"
        found = self.leads.pop(identity, None)
        return self.not_found if found is None else Answer(200, found)

    @route("PATCH", "/api/campaigns/([A-Za-z0-9_]+)/leads/([A-Za-z0-9_]+)")
    def change(self, request: Request, _: str, identity: str) -> Answer:
        if identity not in self.leads:
            return self.not_found
        self.leads[identity].update(request.body)
        return Answer(200, self.leads[identity])

    @route("POST", "/api/leads/pause/([A-Za-z0-9_]+)")
    def pause(self, _: Request, identity: str) -> Answer:
        if identity not in self.leads:
            return self.not_found
        self.leads[identity]["isPaused"] = True
        return Answer(200, [self.leads[identity]])
