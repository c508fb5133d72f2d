"""Smartlead as its documentation says: the key in the query, 400 leads at most, counts of those left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route


@dataclass
class SmartleadServer(VendorServer):
    leads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By e-mail address; `campaigns` are the ids with the state of the lead there."""
    campaigns: tuple[int, ...] = (54,)
    blocked: frozenset[str] = frozenset()

    unauthorized: ClassVar[Answer] = Answer(401, {"message": "Invalid API Key"})
    not_found: ClassVar[Answer] = Answer(404, {"error": "Resource not found"})

    @route("GET", "/api/v1/campaigns/")
    def list_campaigns(self, _: Request) -> Answer:
        return Answer(
            200, [{"id": one, "name": "First 90 days", "status": "ACTIVE"} for one in self.campaigns]
        )

    @route("GET", "/api/v1/leads/")
    def find(self, request: Request) -> Answer:
        found = self.leads.get(dict(request.query)["email"])
        return Answer(200, {} if found is None else {"id": found["id"], "email": found["email"]})

    @route("GET", "/api/v1/leads/([0-9]+)/campaigns")
    def list_places(self, _: Request, identity: str) -> Answer:
        for one in self.leads.values():
            if one["id"] == int(identity):
                return Answer(
                    200,
                    [{"campaign_id": place, "status": state} for place, state in one["campaigns"].items()],
                )
        return self.not_found

    @route("POST", "/api/v1/campaigns/([0-9]+)/leads")
    def add(self, request: Request, campaign: str) -> Answer:
        place = int(campaign)
        if place not in self.campaigns:
            return Answer(404, {"error": "Campaign not found - Invalid campaign_id."})
        leads = request.body["lead_list"]
        if not 1 <= len(leads) <= 400:
            return Answer(400, {"error": '"lead_list" must contain less than or equal to 400 items'})
        counts = dict.fromkeys(("inserted_count", "duplicate_count", "blocked_count"), 0)
        for lead in leads:
            email = lead["email"].lower()
            known = self.leads.setdefault(email, {"id": int(self.next_id()), "campaigns": {}, **lead})
            if email in self.blocked:
                counts["blocked_count"] += 1
            elif place in known["campaigns"]:
                counts["duplicate_count"] += 1
            else:
                self.enrolled[email, campaign] += 1
                known["campaigns"][place] = "ACTIVE"
                counts["inserted_count"] += 1
        return Answer(200, {"ok": True, **counts})

    @route("DELETE", "/api/v1/campaigns/([0-9]+)/leads/([0-9]+)")
    def remove(self, _: Request, campaign: str, identity: str) -> Answer:
        return self._change(campaign, identity, None)

    @route("POST", "/api/v1/campaigns/([0-9]+)/leads/([0-9]+)/pause")
    def pause(self, _: Request, campaign: str, identity: str) -> Answer:
        return self._change(campaign, identity, "PAUSED")

    def _change(self, campaign: str, identity: str, state: str | None) -> Answer:
        for one in self.leads.values():
            if one["id"] == int(identity) and int(campaign) in one["campaigns"]:
                if state is None:
                    del one["campaigns"][int(campaign)]
                else:
                    one["campaigns"][int(campaign)] = state
                return Answer(200, {"ok": True})
        return self.not_found
