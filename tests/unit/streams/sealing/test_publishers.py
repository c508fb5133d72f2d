"""Every process that publishes what may name persons seals it: a new publisher has to say so."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import pytest

from resegment.agents.batch import Message, PublishFailed
from resegment.errors import TransientError
from resegment.streams.kafka.publisher import KafkaPublisher
from tests.walk import ROOT

UNSEALED = {
    "resegment/cli/operations/auditing.py",
    "resegment/cli/runtime/ingest.py",
    "resegment/cli/demo/command.py",
}
"""Publishers of the audit log, and of events as sources send them."""


def publishers() -> Iterator[tuple[str, bool]]:
    """Yield each place that makes a publisher, and whether it seals."""
    for folder in ("resegment", "streams", "agents"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.is_symlink() or any(one.is_symlink() for one in path.parents):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = node.func if isinstance(node, ast.Call) else None
                if isinstance(name, ast.Name) and name.id in ("KafkaPublisher", "made_by"):
                    assert isinstance(node, ast.Call)
                    yield str(path.relative_to(ROOT)), any(one.arg == "seal" for one in node.keywords)


def test_every_publisher_seals_but_those_of_the_audit_log_and_of_sources() -> None:
    found = list(publishers())
    assert len(found) >= 9
    assert {path for path, seals in found if not seals} == UNSEALED


async def test_while_the_keys_cannot_be_had_nothing_is_published_and_the_caller_tries_again() -> None:
    async def seal(_: Sequence[Message]) -> Sequence[Message]:
        raise TransientError("the key store does not answer")

    publisher = KafkaPublisher("nowhere:1", seal=seal)
    with pytest.raises(PublishFailed, match="the key store does not answer"):
        await publisher.publish([Message("topic", None, b"x")])
    await publisher.publish([])
