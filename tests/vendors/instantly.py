"""Instantly as its documentation says: bulk adding with counts of those left out, and 402 without a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, route

CAMPAIGN = "019ffad2-53a3-7590-935f-b48cddbf2d9e"


@dataclass
class InstantlyServer(VendorServer):
    leads: dict[str, dict[str, Any]] = field(default_factory=dict)
    campaigns: tuple[str, ...] = (CAMPAIGN,)
    blocked: frozenset[str] = frozenset()
    paid: bool = True

    unauthorized: ClassVar[Answer] = Answer(
        401, {"statusCode": 401, "error": "Unauthorized", "message": "Missing Authorization header"}
    )
    not_found: ClassVar[Answer] = Answer(
        404, {"statusCode": 404, "error": "Not Found", "message": "Resource not found"}
    )

    @route("GET", "/api/v2/workspaces/current")
    def workspace(self, _: Request) -> Answer:
        return Answer(200, {"id": str(UUID(int=1)), "name": "Example"})

    @route("POST", "/api/v2/leads/list")
    def list_leads(self, request: Request) -> Answer:
        wanted = request.body["contacts"]
        rows = [
            one
            for one in self.leads.values()
            if one["campaign"] == request.body["campaign"] and one["email"].lower() in wanted
        ]
        return Answer(200, {"items": rows})

    @route("POST", "/api/v2/leads/add")
    def add(self, request: Request) -> Answer:
        body = request.body
        if not self.paid:
            text = "Workspace does not have an active paid plan"
            return Answer(402, {"statusCode": 402, "error": "Payment Required", "message": text})
        if body["campaign_id"] not in self.campaigns:
            return self.not_found
        assert 1 <= len(body["leads"]) <= 1000
        counts = dict.fromkeys(
            ("in_blocklist", "duplicated_leads", "skipped_count", "invalid_email_count", "incomplete_count"),
            0,
        )
        created = []
        for index, lead in enumerate(body["leads"]):
            email = lead["email"].lower()
            if email in self.blocked:
                counts["in_blocklist"] += 1
            elif any(
                one["email"].lower() == email and one["campaign"] == body["campaign_id"]
                for one in self.leads.values()
            ):
                counts["duplicated_leads"] += 1
            elif body.get("skip_if_in_campaign") and any(
                one["email"].lower() == email for one in self.leads.values()
            ):
                counts["skipped_count"] += 1
            else:
                self.enrolled[email, body["campaign_id"]] += 1
                identity = str(UUID(int=int(self.next_id())))
                self.leads[identity] = {
                    "id": identity,
                    "campaign": body["campaign_id"],
                    "status": 1,
                    "timestamp_created": "2026-02-01T00:00:05.000Z",
                    **lead,
                }
                created.append({"index": index, "id": identity, "email": lead["email"]})
        return Answer(
            200,
            {
                "status": "success",
                "total_sent": len(body["leads"]),
                "leads_uploaded": len(created),
                "blocklist_used": None,
                "duplicate_email_count": 0,
                "remaining_in_plan": 9993,
                "created_leads": created,
                **counts,
            },
        )

    @route("DELETE", "/api/v2/leads")
    def delete(self, request: Request) -> Answer:
        assert request.body["ids"], "without ids every lead of the campaign is deleted"
        gone = [self.leads.pop(one, None) for one in request.body["ids"]]
        return Answer(200, {"count": sum(one is not None for one in gone)})

    @route("PATCH", "/api/v2/leads/([0-9a-f-]+)")
    def change(self, request: Request, identity: str) -> Answer:
        if identity not in self.leads:
            return self.not_found
        self.leads[identity].update(request.body)
        return Answer(200, self.leads[identity])
