"""The file of webhook endpoints, as commands are given it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resegment.cli.connection import WrongUse

if TYPE_CHECKING:
    from resegment.settings import Settings
    from resegment.sinks.webhook.endpoint import Webhooks
    from resegment.sinks.webhook.endpoints import LoadedEndpoint

WebhooksFile = Annotated[
    Path | None,
    typer.Option(
        "--webhooks", "-w", metavar="FILE", help="The file of endpoints. Default: RESEGMENT_WEBHOOKS."
    ),
]


class WebhooksMissing(WrongUse):
    """There is no file of endpoints."""

    def __init__(self) -> None:
        super().__init__(
            "no webhook endpoints are configured: neither --webhooks nor RESEGMENT_WEBHOOKS is set",
            remedy="Pass a file of endpoints with --webhooks; docs/webhooks.md shows what goes in it.",
        )


def read_webhooks(settings: Settings) -> Webhooks:
    """Read the file that the settings name, without secrets. Raises WebhooksMissing or InvalidWebhooks."""
    from resegment.sinks.webhook.endpoints import load_webhooks

    if settings.webhooks is None:
        raise WebhooksMissing
    return load_webhooks(settings.webhooks)


def read_endpoints(settings: Settings) -> dict[str, LoadedEndpoint]:
    """Read the endpoints that the settings name, with their secrets. Raises WebhooksMissing or InvalidWebhooks."""
    import os

    from resegment.sinks.webhook.endpoints import load_endpoints

    if settings.webhooks is None:
        raise WebhooksMissing
    return load_endpoints(settings.webhooks, os.environ)
