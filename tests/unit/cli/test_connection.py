"""What commands are told by options, by the environment and by an instance that runs on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from resegment.cli import connection
from resegment.cli.connection import (
    INSTANCE_FILE,
    Instance,
    NotRunning,
    StillStarting,
    UntrustedInstance,
    WrongSetting,
    announced,
    load_settings,
    read_instance,
    resolve,
)
from resegment.embedded.folder import held
from resegment.errors import FolderNotWritable
from resegment.settings import Settings
from resegment.state.redis.client import connect_redis


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


# An instance that starts


async def test_an_instance_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    instance = Instance(os.getpid(), "127.0.0.1:1", "redis://127.0.0.1:2", "mine", 8)
    async with held(tmp_path):
        finding = asyncio.create_task(asyncio.to_thread(resolve, load_settings(folder=tmp_path)))
        done, _ = await asyncio.wait({finding}, timeout=0.3)
        assert not done
        with announced(tmp_path, instance):
            assert (await finding).prefix == "mine"


async def test_an_instance_that_ends_while_it_starts_is_not_waited_for(tmp_path: Path) -> None:
    async with held(tmp_path):
        finding = asyncio.create_task(asyncio.to_thread(resolve, load_settings(folder=tmp_path)))
        await asyncio.sleep(0)
    with pytest.raises(NotRunning):
        await finding


async def test_an_instance_that_takes_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_STARTED_WITHIN", 0.1)
    async with held(tmp_path):
        with pytest.raises(StillStarting, match=f"process {os.getpid()}"):
            await asyncio.to_thread(resolve, load_settings(folder=tmp_path))


def test_ingest_waits_a_moment_for_an_instance_that_is_about_to_start(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        resolve(load_settings(folder=tmp_path), patience=0.1)


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


# A file of an instance that someone else may have written


def planted(folder: Path, **given: str) -> Path:
    """A file of an instance as somebody who knows how would write it."""
    place = folder / INSTANCE_FILE
    plain = Instance(os.getpid(), "127.0.0.1:1", "redis://127.0.0.1:2", "mine", 8)
    place.write_bytes(msgspec.json.encode(msgspec.structs.replace(plain, **given)))
    place.chmod(0o600)
    return place


@pytest.mark.parametrize(
    "given",
    [
        {"redis_url": "redis://203.0.113.7:6379"},
        {"redis_url": "rediss://redis.example:6379"},
        {"redis_url": "redis+sentinel://127.0.0.1/main"},
        {"redis_url": "redis+cluster://127.0.0.1:1,203.0.113.7:1"},
        {"bootstrap": "203.0.113.7:9092"},
        {"bootstrap": "127.0.0.1:1,kafka.example:9092"},
    ],
)
def test_an_instance_file_cannot_name_servers_on_other_machines(
    tmp_path: Path, given: dict[str, str]
) -> None:
    planted(tmp_path, **given)
    with pytest.raises(UntrustedInstance, match="on another machine"):
        resolve(load_settings(folder=tmp_path))


def test_no_secret_that_is_set_goes_to_the_servers_of_an_instance_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(tmp_path)
    for name in ("REDIS_PASSWORD", "REDIS_USERNAME", "KAFKA_PASSWORD", "KAFKA_USERNAME", "KAFKA_KEY"):
        monkeypatch.setenv(f"RESEGMENT_{name}", "hidden")
    monkeypatch.setenv("RESEGMENT_KAFKA_SASL", "PLAIN")

    connection = resolve(load_settings(folder=tmp_path))

    for name in ("redis_password", "redis_username", "kafka_password", "kafka_username", "kafka_sasl"):
        assert getattr(connection.settings, name) is None
    client = connect_redis(connection.settings, connection.redis_url)
    assert client.connection_pool.connection_kwargs["password"] is None
    assert client.connection_pool.connection_kwargs["username"] is None


def test_servers_that_are_set_get_their_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path)
    monkeypatch.setenv("RESEGMENT_REDIS_PASSWORD", "mine")
    named = load_settings(folder=tmp_path, redis="redis://127.0.0.1:7")
    connection = resolve(named)
    client = connect_redis(connection.settings, connection.redis_url)
    assert client.connection_pool.connection_kwargs.get("password", "") == "mine"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_an_instance_file_that_others_can_read_or_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    planted(tmp_path).chmod(mode)
    with pytest.raises(UntrustedInstance):
        read_instance(tmp_path)


def test_an_instance_file_in_a_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path) -> None:
    planted(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(UntrustedInstance):
        read_instance(tmp_path)


def test_an_instance_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / INSTANCE_FILE).symlink_to(planted(elsewhere))
    assert read_instance(tmp_path) is None


def test_a_pipe_in_the_place_of_an_instance_file_holds_up_no_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / INSTANCE_FILE, 0o600)
    assert read_instance(tmp_path) is None


async def test_a_lock_that_is_a_link_empties_no_other_file(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "lock").symlink_to(precious)
    with pytest.raises(FolderNotWritable):
        async with held(folder):
            pass
    assert precious.read_text() == "keep me"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_an_instance_file_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    os.chown(planted(tmp_path), 65534, -1)
    with pytest.raises(UntrustedInstance, match="another user"):
        read_instance(tmp_path)


def test_what_a_planted_draft_would_leave_readable_is_written_for_the_user_alone(tmp_path: Path) -> None:
    draft = (tmp_path / INSTANCE_FILE).with_suffix(".new")
    draft.touch(mode=0o666)
    draft.chmod(0o666)
    with announced(tmp_path, Instance(os.getpid(), "127.0.0.1:1", "redis://127.0.0.1:2", "mine", 8)):
        assert (tmp_path / INSTANCE_FILE).stat().st_mode & 0o777 == 0o600
        assert read_instance(tmp_path) is not None
