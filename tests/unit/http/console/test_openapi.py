"""Whatever is asked of the console by its own document is answered, and never by a bug: JSON twins, forms and files."""

from __future__ import annotations

import asyncio

import schemathesis
from hypothesis import HealthCheck, settings

from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NEXT, NOW
from tests.unit.http.console.operating import Operated, letter, make_operated


async def _make() -> tuple[Operated, str]:
    prefix = PrefixInMemory(*(read_definition([("segments.yaml", one)]) for one in (FILE, NEXT)), now=NOW)
    await prefix.add(facts_of(EVENTS))
    operated = make_operated(prefix)
    operated.letters.add(letter(1), letter(2, b"\xff"))
    return operated, await operated.world.token()


OPERATED, TOKEN = asyncio.run(_make())
SCHEMA = schemathesis.openapi.from_asgi(
    "/console/openapi.json", OPERATED.app, headers={"authorization": f"Bearer {TOKEN}"}
)


@SCHEMA.include(method="GET").exclude(path_regex="feed").parametrize()
@settings(max_examples=4, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_finds_a_bug(case: schemathesis.Case) -> None:
    for form in ("json", "csv", "html"):
        case.query["format"] = form
        answered = case.call(headers={"authorization": f"Bearer {TOKEN}", "host": "localhost"})
        assert answered.status_code in (200, 303, 307, 400, 403, 404, 405, 409, 422), (
            case.path,
            answered.text,
        )
        if answered.status_code == 200 and form == "json" and "json" in answered.headers["content-type"][0]:
            answered.json()
