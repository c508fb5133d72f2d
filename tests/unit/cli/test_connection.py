"""What commands are told by options, by the environment and by an instance that runs on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from resegment.cli.connection import (
    INSTANCE_FILE,
    Instance,
    WrongSetting,
    announced,
    load_settings,
    read_instance,
    resolve,
)
from resegment.settings import Settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RESEGMENT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """One in which an instance runs."""
    instance = Instance(
        os.getpid(), "127.0.0.1:1", "redis://127.0.0.1:2", "mine", 8, None, "/etc/resegment/active.yaml"
    )
    with announced(tmp_path, instance):
        yield tmp_path


# The segments file


def test_beside_an_instance_its_segments_file_is_taken(folder: Path) -> None:
    assert resolve(load_settings(folder=folder, segments=None)).segments == "/etc/resegment/active.yaml"


def test_an_option_or_a_variable_goes_before_the_instances_segments_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(load_settings(folder=folder, segments="own.yaml")).segments == "own.yaml"
    monkeypatch.setenv("RESEGMENT_SEGMENTS", "set.yaml")
    assert resolve(load_settings(folder=folder, segments=None)).segments == "set.yaml"


def test_an_instance_on_named_servers_lends_its_segments_file_to_commands_that_name_the_same(
    folder: Path,
) -> None:
    named = {"folder": folder, "redis": "redis://127.0.0.1:2"}
    same = load_settings(**named, kafka="127.0.0.1:1", prefix="mine")
    assert resolve(same).segments == "/etc/resegment/active.yaml"
    for other in (
        load_settings(**named, kafka="127.0.0.1:9", prefix="mine"),
        load_settings(**named, kafka="127.0.0.1:1", prefix="other"),
    ):
        assert resolve(other).segments == "segments.yaml"


def test_an_instance_of_an_earlier_version_is_found_all_the_same(folder: Path) -> None:
    place = folder / INSTANCE_FILE
    told = msgspec.json.decode(place.read_bytes())
    del told["segments"]
    place.write_bytes(msgspec.json.encode(told))

    instance = read_instance(folder)

    assert instance is not None
    assert instance.pid == os.getpid()
    assert resolve(load_settings(folder=folder)).segments == "segments.yaml"


# Settings that are wrong


def test_a_wrong_variable_is_to_be_mended_where_it_stands_or_by_an_option_that_the_command_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESEGMENT_PARTITIONS", "x")
    with pytest.raises(WrongSetting) as caught:
        load_settings(prefix=None)
    assert caught.value.remedy == "Fix the variable RESEGMENT_PARTITIONS."

    monkeypatch.delenv("RESEGMENT_PARTITIONS")
    monkeypatch.setenv("RESEGMENT_HTTP_PORT", "x")
    with pytest.raises(WrongSetting) as caught:
        load_settings(http_port=None)
    assert caught.value.remedy == "Fix the variable RESEGMENT_HTTP_PORT, or pass the option --http-port."


def test_a_wrong_option_is_to_be_mended_whatever_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEGMENT_PREFIX", "fine")
    with pytest.raises(WrongSetting) as caught:
        load_settings(prefix="no spaces")
    assert caught.value.remedy == "Fix the option --prefix."


def test_variables_that_name_no_setting_are_told_with_the_nearest_that_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESEGMENT_PARTITION", "4")
    monkeypatch.setenv("RESEGMENT_QQQ", "1")
    monkeypatch.setenv("RESEGMENT_REPLICATION", "3")
    assert load_settings().partitions == 8
    assert capsys.readouterr().err.splitlines() == [
        "warning: unknown setting RESEGMENT_PARTITION: did you mean RESEGMENT_PARTITIONS?",
        "warning: unknown setting RESEGMENT_QQQ; docs/settings.md lists every setting",
    ]


# Retention


@pytest.mark.parametrize(
    ("given", "read"), [("7d", timedelta(days=7)), ("36h", timedelta(hours=36)), ("2w", timedelta(days=14))]
)
def test_retention_is_a_duration(given: str, read: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().retention == timedelta(days=7)
    monkeypatch.setenv("RESEGMENT_RETENTION", given)
    assert load_settings().retention == read


@pytest.mark.parametrize("given", ["week", "7", "-1d", "0d", "1s", "999999999999w", ""])
def test_what_is_no_retention_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEGMENT_RETENTION", given)
    with pytest.raises(WrongSetting, match=r"invalid value .* for the setting retention"):
        load_settings()


def test_the_probes_are_named_where_the_address_is_set() -> None:
    assert "/readyz" in (Settings.model_fields["http_host"].description or "")
