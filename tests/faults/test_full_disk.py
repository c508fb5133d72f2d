"""The disk of an embedded instance fills up: it says so, loses nothing that it accepted, and continues with room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trial import Trial, check_all, until

EVENTS = 20_000
DISK = 8_000_000
BALLAST = 4_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB, half of it taken."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(folder)], check=True
    )
    try:
        (folder / "ballast").write_bytes(b"\0" * BALLAST)
        yield folder
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@pytest.mark.faults
@pytest.mark.timeout(400)
async def test_a_full_disk_loses_nothing_accepted_and_resumes_with_room(disk: Path, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    trial = Trial(disk, EVENTS, partitions=2, log=log)
    try:
        await trial.start()
        await trial.feed(EVENTS)
        assert not trial.fed, "the disk was not full"
        await until(lambda: "is full: no event is accepted" in log.read_text())
        accepted = len(trial.accepted)
        assert accepted > 0
        code, _, error = await trial.run("ingest", str(trial.write_rest(tmp_path / "rest.jsonl")))
        assert code == 1
        assert "Kafka did not acknowledge the next ones" in error

        (disk / "ballast").unlink()
        trial.limit(len(trial.accepted) + 500)
        await trial.feed(EVENTS)
        assert trial.fed
        await until(lambda: "There is room on the disk again" in log.read_text())
        await check_all(trial)
        await trial.stop()
    finally:
        trial.kill()
