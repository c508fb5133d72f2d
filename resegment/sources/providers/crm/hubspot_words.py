"""The words of HubSpot: properties that give no attribute, types of e-mail events, and subscriptions of webhooks."""

from __future__ import annotations

from typing import Final

from resegment.sources.adapters.fields import listed

STATISTICS: Final = listed(
    "create date, createdate, createdAt, archived, archivedAt, phone, phone number, city, state, zip, "
    "address, address2, address 2, street address, postal code, time zone, timezone, company owner, "
    "hubspot_owner_id, hubspot_owner_assigneddate, hubspot_team_id, hubspot team, owneremail, "
    "ownername, first contact create date, first_contact_createdate, first_deal_created_date, first "
    "deal created date, recent_deal_amount, recent_deal_close_date, recent deal amount, recent deal "
    "close date, num_associated_contacts, num_associated_deals, num_contacted_notes, num_notes, "
    "num_conversion_events, num_unique_conversion_events, number of associated contacts, number of "
    "associated deals, number of times contacted, number of form submissions, notes_last_contacted, "
    "notes_next_activity_date, last contacted, last activity date, next activity date, closedate, "
    "close date, days_to_close, days to close, description, about us, about_us, founded_year, year "
    "founded, is_public, is public, linkedin_company_page, linkedin company page, linkedinbio, "
    "linkedin bio, facebook_company_page, facebookfans, facebook company page, facebook fans, "
    "twitterhandle, twitter handle, twitterbio, twitter bio, twitterfollowers, twitter followers, "
    "googleplus_page, google plus page, logo url, total_money_raised, total_revenue, total revenue, "
    "portalid, portal-id, company_id, iscontact, merge-audits, mergeaudits, statechanges, "
    "state-changes, additionaldomains, additional-domains, id, is_deleted, deleted, "
    "_fivetran_deleted, _dlt_id, _dlt_load_id, properties_with_history, associations, parent company, "
    "likelihood to close, lead status, engagements_last_meeting_booked, first_conversion_date, "
    "first_conversion_event_name, recent_conversion_date, recent_conversion_event_name, url, type_id"
)

EMAIL_ACTIONS: Final = {
    "sent": "sent", "delivered": "delivered", "open": "opened", "click": "clicked", "bounce": "bounced", "dropped": "dropped",
    "spamreport": "spam_complaint", "unsubscribed": "unsubscribed", "statuschange": "status_change", "processed": "processed",
    "deferred": "deferred", "suppressed": "suppressed", "forward": "forwarded", "print": "printed", "reply": "replied",
}  # fmt: skip
EMAIL_SKIPPED: Final = frozenset({"processed", "deferred", "dropped", "suppressed", "print", "delivered"})

SUBSCRIPTIONS: Final = {
    "company.creation": "names no property; read the company from the interface",
    "company.deletion": "the account stays: HubSpot deletes records, not companies",
    "company.restore": "names no property",
    "company.merge": "merge accounts by aliases",
    "company.associationchange": "links say nothing of the account",
    "deal": "only the creation of a deal, and a stage that wins, loses or reopens it, give events",
    "contact": "contacts are no accounts",
    "ticket": "tickets give no event",
    "product": "products give no event",
    "line_item": "line items give no event",
    "conversation": "conversations give no event",
}

OTHER_OBJECTS: Final = {
    "0-1": "contacts are no accounts",
    "0-5": "tickets give no event",
    "0-7": "products give no event",
    "0-8": "line items give no event",
    "0-14": "quotes give no event",
    "0-18": "communications name nobody",
    "0-27": "tasks are yours",
    "0-46": "notes give no event",
    "0-48": "calls give no event",
    "0-49": "names no address; read the e-mail from the interface",
    "0-115": "users are your own",
    "0-136": "leads name no company",
}
"""The types of other objects in webhooks, and why they give no event."""
