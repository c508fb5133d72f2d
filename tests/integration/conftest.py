"""The servers that integration tests run on: the embedded ones always, Apache Kafka and a system's Redis where they can be."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from resegment.benchmarks.servers import apache, debian
from resegment.embedded.servers import embedded

HERE = Path(__file__).parent

QUICK = {
    "test_a_new_endpoint_begins_at_the_end_unless_it_asks_for_all": {"embedded"},
    "test_a_restart_goes_on_where_delivery_was": {"embedded"},
    "test_an_endpoint_gets_the_workflows_and_actions_it_asked_for": {"embedded"},
    "test_an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled": {"embedded"},
    "test_a_dead_letter_that_is_retried_goes_to_its_endpoint_only": {"embedded"},
    "test_a_record_that_is_no_command_is_dead_lettered_and_holds_up_nothing": {"embedded"},
    "test_hostile_records_and_a_hostile_receiver_hold_up_nothing_and_are_reported": {"embedded"},
    "test_a_stop_is_clean_though_an_endpoint_hangs": {"embedded"},
    "test_an_operator_sees_tests_and_stops_an_endpoint_by_commands": {"embedded"},
    "test_a_delivery_that_is_killed_in_the_middle_loses_nothing": {"apache"},
    "test_processes_that_come_and_go_share_an_endpoint_and_keep_the_order": {"apache"},
    "test_a_process_that_is_killed_enrolls_everybody_once": {"embedded"},
    "test_a_new_sales_leader_becomes_a_task_in_hubspot_and_a_row_in_the_warehouse": {"embedded", "apache"},
    "test_neither_a_killed_writer_nor_a_killed_database_loses_or_doubles_a_row": {"embedded"},
    "test_tables_are_written_continued_and_compared": {"apache"},
    "test_a_planted_person_is_in_no_record_table_or_log_line_and_webhooks_get_the_full_text": {"embedded"},
    "test_a_damaged_account_is_reported_in_the_promised_time_and_a_sound_one_never": {"embedded"},
    "test_accounts_are_asked_for_by_rank_each_once_in_its_time_and_so_many_a_day": {"embedded"},
    "test_a_lost_redis_is_noticed_and_rebuilt_from_the_log_without_routing_anything": {"apache"},
    "test_ledgers_that_are_lost_are_what_they_were_after_a_rebuild": {"embedded"},
    "test_an_archiver_that_is_killed_loses_and_doubles_nothing": {"embedded"},
    "test_the_stream_agrees_with_the_backtest": {"embedded-1", "apache-3"},
    "test_a_drained_topic_comes_to_what_a_backtest_says": {"apache"},
    "test_what_java_sends_in_both_modes_arrives": {"apache"},
    "test_each_command_runs_and_each_probe_is_answered": {"apache"},
    "test_a_forgotten_account_is_nowhere_and_stays_away_until_that_is_lifted": {"embedded"},
    "test_aliases_are_forgotten_with_their_account_and_not_alone": set(),
    "test_after_a_forget_the_person_is_nowhere_readable_and_the_control_is_everywhere": {"embedded"},
    "test_after_a_person_is_forgotten_only_that_person_is_nowhere_readable": set(),
}
"""Tests to which the servers are nearly all one: those that run always; the others run with the faults."""

ALWAYS = frozenset(
    {
        "test_change_a_segment.py",
        "test_demo.py",
        "test_journal.py",
        "test_pipeline.py",
        "test_routing.py",
        "test_up.py",
    }
)
"""Modules that `make test` runs on the embedded servers: the main path. `make test-all` runs the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and (item.path.name not in ALWAYS or "apache" in item.name):
            item.add_marker(pytest.mark.full)
        name, _, given = item.name.rstrip("]").partition("[")
        if given not in QUICK.get(name, {given}):
            item.add_marker(pytest.mark.faults)


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
    """Skip where there is no Java or Maven, but fail where they are required."""
    if apache.is_possible():
        return
    if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
        pytest.fail("Apache Kafka cannot run here: install Java 17 and Maven.")
    pytest.skip("Apache Kafka needs Java 17 and Maven: apt-get install default-jdk-headless maven")


def require_redis() -> None:
    """Skip where the system has no Redis: Valkey's wheel speaks no TLS. Fail where it is required."""
    if debian.program() is not None:
        return
    if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
        pytest.fail("Redis with TLS cannot run here: apt-get install redis-server")
    pytest.skip("Redis with TLS needs the system's redis-server: apt-get install redis-server")
