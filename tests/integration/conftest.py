"""The servers that integration tests run on: the embedded ones always, Apache Kafka and a system's Redis where they can be."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from resegment.embedded.servers import embedded
from tests.servers import apache, debian


@dataclass(frozen=True, slots=True)
class Stack:
    """A Kafka and a Redis that answer; tests share them, each with a prefix of its own."""

    name: str
    bootstrap: str
    redis_url: str


@pytest_asyncio.fixture(params=["embedded", "apache"], scope="session", loop_scope="session")
async def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Both kinds, one after the other."""
    folder = tmp_path_factory.mktemp(request.param)
    async with AsyncExitStack() as exits:
        if request.param == "embedded":
            both = await exits.enter_async_context(embedded(folder))
            yield Stack("embedded", both.bootstrap, both.redis_url)
        else:
            require_apache()
            (kafka,) = await exits.enter_async_context(apache.cluster(folder))
            if debian.program() is None:
                warnings.warn(
                    "there is no redis-server: Valkey from its wheel stands in for it", stacklevel=1
                )
            redis = debian.SystemRedis(folder)
            await redis.start()
            exits.push_async_callback(redis.stop)
            yield Stack("apache", kafka.bootstrap, redis.url)


def require_apache() -> None:
    """Skip where there is no Java or Maven, but fail where they are promised."""
    if apache.is_possible():
        return
    if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
        pytest.fail("Apache Kafka cannot run here: install Java 17 and Maven.")
    pytest.skip("Apache Kafka needs Java 17 and Maven")
