"""The dbt package over tables as the product writes them: its tests pass, and notice what is wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from resegment.schemas.outcomes.messages import encode_touch
from resegment.schemas.outcomes.touch import Touch
from resegment.tables.duck import Duck
from tests.contracts.test_table_stores import Log, change, outcome

PACKAGE = Path(__file__).parents[2] / "integrations" / "dbt"
DBT = os.environ.get("RESEGMENT_DBT")

pytestmark = pytest.mark.skipif(DBT is None, reason="dbt has an environment of its own: make dbt")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    store = Duck(str(tmp_path / "segments.duckdb"))
    store.migrate()
    store.open("acme", 1)
    changes, touches, signals = Log(store), Log(store, "touches"), Log(store, "signals")
    changes.write(
        *(
            changes.record(change(f"a{one}.com", number, None, f"s{one % 3}", number))
            for one in range(30)
            for number in (1, 2)
        )
    )
    touches.write(
        *(
            touches.record(
                encode_touch(
                    Touch(
                        touch=f"k{one}",
                        account=f"a{one}.com",
                        at=1_769_000_000_000,
                        segment=f"s{one % 3}",
                        workflow="w",
                    )
                )
            )
            for one in range(30)
        )
    )
    signals.write(
        *(
            signals.record(outcome(f"r{one}", known=1, account=f"a{one}.com", action="replied"))
            for one in range(0, 30, 2)
        )
    )
    store.close()
    return tmp_path / "segments.duckdb"


def build(tables: Path) -> tuple[int, str]:
    assert DBT is not None
    folder = tables.parent
    done = subprocess.run(
        [DBT, "build", "--profiles-dir", str(PACKAGE), "--target-path", str(folder / "target"), "--log-path", str(folder)],
        cwd=PACKAGE,
        env=os.environ | {"RESEGMENT_DUCKDB": str(tables), "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_its_tests_pass_and_its_models_count(tables: Path) -> None:
    code, output = build(tables)
    assert code == 0, output
    assert "WARN=0 ERROR=0" in output
    with duckdb.connect(str(tables)) as connection:
        found = connection.execute(
            "SELECT segment, touches, replied FROM analytics.segment_performance ORDER BY segment"
        ).fetchall()
    assert found == [("s0", 10, 5), ("s1", 10, 5), ("s2", 10, 5)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE account_segment_history SET valid_to = valid_to + INTERVAL '1 hour' WHERE account = 'a1.com' AND valid_to IS NOT NULL",
        "UPDATE account_segment_history SET is_current = true WHERE account = 'a1.com'",
        "DELETE FROM account_segment_current WHERE account = 'a1.com'",
        "UPDATE segment_event SET sequence_number = 9 WHERE account = 'a1.com' AND sequence_number = 2",
        "DELETE FROM fct_touch WHERE touch = 'k2'",
    ],
)
def test_its_tests_notice_damage(tables: Path, damage: str) -> None:
    with duckdb.connect(str(tables)) as connection:
        connection.execute(damage)
    code, output = build(tables)
    assert code == 1
    assert "FAIL" in output
