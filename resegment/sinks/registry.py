"""The vendors that commands can be sent to. A new sink is a folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resegment.sinks.apollo.vendor import APOLLO
from resegment.sinks.hubspot.vendor import HUBSPOT
from resegment.sinks.instantly.vendor import INSTANTLY
from resegment.sinks.lemlist.vendor import LEMLIST
from resegment.sinks.outreach.vendor import OUTREACH
from resegment.sinks.port import Vendor
from resegment.sinks.salesforce.vendor import SALESFORCE
from resegment.sinks.salesloft.vendor import SALESLOFT
from resegment.sinks.slack.vendor import SLACK
from resegment.sinks.smartlead.vendor import SMARTLEAD

VENDORS: Final[Mapping[str, Vendor]] = {
    one.name: one
    for one in (
        APOLLO,
        HUBSPOT,
        INSTANTLY,
        LEMLIST,
        OUTREACH,
        SALESFORCE,
        SALESLOFT,
        SLACK,
        SMARTLEAD,
    )
}
"""By the name that `vendor:` has in `sinks.yaml`."""

UNTRIED: Final = "built to the vendor's documentation, not tried against the live service"
"""What is said of each sink until somebody has."""
