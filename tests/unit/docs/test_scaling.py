"""docs/scaling.md says what the figures give."""

from pathlib import Path

import pytest

from resegment.benchmarks.capacity import (
    ACCOUNTS,
    RATES,
    SEPARATE,
    SHARED,
    SHARED_MEASURED,
    Assumed,
    Measured,
    count_partitions,
    simulate,
    size,
    tables,
)

PAGE = Path(__file__).parents[3] / "docs" / "scaling.md"


def test_the_page_has_the_tables_as_they_are_computed() -> None:
    lines = PAGE.read_text().splitlines()
    missing = [line for line in tables() if line and line not in lines]
    assert not missing, "run `python -m resegment.benchmarks.capacity` and copy its tables:\n" + "\n".join(
        missing
    )
    assert sum(line.startswith("| ") for line in lines) > 40


def test_the_page_names_the_measured_figures() -> None:
    text, measured = PAGE.read_text(), Measured()
    for figure in (measured.cached, measured.redis, measured.broker):
        assert f"{figure} us" in text
    assert f"{measured.missed:.0f} us" in text
    assert f"{measured.account_in_memory:,} bytes in a worker, {measured.account_in_redis:,} in Redis" in text


@pytest.mark.parametrize("accounts", ACCOUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_nothing_is_busier_than_chosen(accounts: int, rate: int) -> None:
    need, assumed = size(accounts, rate), Assumed()
    assert need.worker_cores <= need.workers * assumed.busy
    assert need.redis_busy <= need.redis_masters * assumed.busy
    assert need.partitions >= 4 * need.workers
    assert 0 <= need.cached <= 1


def test_more_events_or_accounts_never_need_less() -> None:
    for fewer, more in (
        (size(1_000_000, 1_000), size(1_000_000, 10_000)),
        (size(1_000, 100), size(10_000_000, 100)),
    ):
        assert more.workers >= fewer.workers
        assert more.redis_gib >= fewer.redis_gib
        assert more.cost > fewer.cost


def test_partitions_are_a_power_of_two_and_at_least_eight() -> None:
    assert [count_partitions(workers) for workers in (1, 2, 3, 9)] == [8, 8, 16, 64]


def test_workers_on_cores_of_their_own_add_up_until_redis_is_busy() -> None:
    one, three, many = (simulate(workers, SEPARATE, partitions=24) for workers in (1, 3, 12))
    assert one.per_second == pytest.approx(1e6 / SEPARATE.worker, rel=0.03)
    assert three.per_second == pytest.approx(3 * one.per_second, rel=0.03)
    assert many.per_second == pytest.approx(1e6 / SEPARATE.redis, rel=0.03)
    assert many.redis_busy > 0.97


def test_the_simulation_agrees_with_what_two_cores_did() -> None:
    for workers, costs, measured in zip((1, 2), SHARED, SHARED_MEASURED, strict=True):
        found = simulate(workers, costs, partitions=4, cores=2)
        assert found.per_second == pytest.approx(measured, rel=0.05)
