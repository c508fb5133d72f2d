"""Hosts that many companies share, with the user's own additions and exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.identity.domains import SharedHost, registrable_domain, use_shared_hosts
from resegment.identity.shared_hosts import SharedHosts, WrongSharedHosts, read_shared_hosts
from tests.builders import raw_event
from tests.oracle.cases import only


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    use_shared_hosts(SharedHosts())


def use(folder: Path, text: str) -> None:
    file = folder / "hosts.txt"
    file.write_text(text)
    use_shared_hosts(read_shared_hosts(file))


@pytest.mark.parametrize("subject", ["g2.com", "https://www.g2.com/", "jo@g2.com", "WWW.G2.com."])
def test_an_exception_is_the_company_that_runs_the_host(tmp_path: Path, subject: str) -> None:
    with pytest.raises(SharedHost, match="RESEGMENT_SHARED_HOSTS"):
        registrable_domain(subject)
    use(tmp_path, "!g2.com\n")
    assert registrable_domain(subject) == "g2.com"


@pytest.mark.parametrize("subject", ["https://www.g2.com/products/acme/reviews", "g2.com/products/acme"])
def test_a_page_on_it_is_still_about_another_company(tmp_path: Path, subject: str) -> None:
    use(tmp_path, "!g2.com\n")
    with pytest.raises(SharedHost):
        registrable_domain(subject)


def test_an_addition_is_shared_with_all_hosts_beneath_it(tmp_path: Path) -> None:
    assert registrable_domain("https://acme.jobs.example.com/x") == "example.com"
    use(tmp_path, "# ours\nJobs.example.com  # a job board\n\n")
    for subject in ("jobs.example.com", "https://acme.jobs.example.com/x"):
        with pytest.raises(SharedHost) as caught:
            registrable_domain(subject)
        assert caught.value.host == "jobs.example.com"
    assert registrable_domain("www.example.com") == "example.com"
    with pytest.raises(SharedHost):
        registrable_domain("gmail.com")


@pytest.mark.parametrize("text", ["acme.com\nno host\n", "acme.com\n!\n", "acme.com\nhttps://x.com/y\n"])
def test_a_line_that_is_no_host_is_an_error_with_its_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongSharedHosts, match="line 2 is not a host"):
        use(tmp_path, text)
    with pytest.raises(WrongSharedHosts, match="no such file"):
        read_shared_hosts(tmp_path / "missing.txt")


def test_every_command_resolves_by_the_same_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segments, events, hosts = tmp_path / "segments.yaml", tmp_path / "events.jsonl", tmp_path / "hosts.txt"
    teams = {"sales": {"members": ["ann"], "accounts": {"g2.com": "ann"}}}
    segments.write_bytes(orjson.dumps({**only({"event": "funding"}), "teams": teams}))
    events.write_bytes(raw_event(subject="https://g2.com"))
    hosts.write_text("!g2.com\n")
    commands = [
        ["lint", str(segments)],
        ["backtest", "--segments", str(segments), "--events", str(events), "--strict"],
        ["explain", "g2.com", "--events", str(events), "--segments", str(segments)],
    ]
    for command in commands:
        assert CliRunner().invoke(build(), command).exit_code != 0
    monkeypatch.setenv("RESEGMENT_SHARED_HOSTS", str(hosts))
    for command in commands:
        done = CliRunner().invoke(build(), command)
        assert done.exit_code == 0, done.output


def test_an_exception_wins_over_a_list_of_the_hosts_beneath(tmp_path: Path) -> None:
    use(tmp_path, "!zendesk.com\n!acme.wixsite.com\n!zoho.com\n")
    assert registrable_domain("support.zendesk.com") == "zendesk.com"
    assert registrable_domain("acme.wixsite.com") == "acme.wixsite.com"
    assert registrable_domain("jo@zoho.com") == "zoho.com"
    with pytest.raises(SharedHost):
        registrable_domain("other.wixsite.com")
