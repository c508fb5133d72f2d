"""URLs of Redis: what is read, what is refused, and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resegment.settings import InsecureSettings, Settings
from resegment.state.redis.address import RedisAddress, WrongRedisUrl, parse_address, without_password
from resegment.state.redis.client import connect_redis

PLANTED = "s3cr/et@x"


def settings_with(name: str) -> Settings:
    given: dict[str, Any] = {name: "p"}
    return Settings(**given)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://redis", RedisAddress("server", tls=False, nodes=(("redis", 6379),))),
        ("redis://h:1/3", RedisAddress("server", tls=False, nodes=(("h", 1),), db=3)),
        ("redis://h:1?db=3", RedisAddress("server", tls=False, nodes=(("h", 1),), db=3)),
        ("rediss://[::1]:7", RedisAddress("server", tls=True, nodes=(("::1", 7),))),
        ("unix:///run/redis.sock?db=2", RedisAddress("socket", tls=False, path="/run/redis.sock", db=2)),
        ("redis+cluster://a:1,b", RedisAddress("cluster", tls=False, nodes=(("a", 1), ("b", 6379)))),
        (
            "rediss+sentinel://a,b:5/main/4",
            RedisAddress("sentinel", tls=True, nodes=(("a", 26379), ("b", 5)), master="main", db=4),
        ),
        (
            "redis://ada:pa%3Ass/w@rd@h:1/0",
            RedisAddress("server", False, (("h", 1),), "", "", 0, "ada", "pa:ss/w@rd"),
        ),
    ],
)
def test_a_url_is_read(url: str, address: RedisAddress) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "redis",
        "http://h",
        f"redis://:{PLANTED}@h:port",
        f"redis://:{PLANTED}@h/x",
        "redis://a,b",
        "redis+sentinel://a:1",
        "redis+cluster://a:1/1",
        "rediss://h?ssl_cert_reqs=none",
        "rediss://h?ssl_check_hostname=false",
        f"rediss://h?ssl_password={PLANTED}",
        "rediss://h?ssl_min_version=TLSv1",
        f"redis://h?password={PLANTED}",
        "redis://h?db=one",
        "redis://h?unknown=1",
        "redis://h/²",
        f"redis://h/{'1' * 5000}",
        "redis://h:99999",
        "redis://h:0",
    ],
)
def test_a_url_that_cannot_be_read_or_weakens_checks_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(WrongRedisUrl) as refused:
        connect_redis(Settings(), url)
    assert PLANTED not in f"{refused.value.message} {refused.value.remedy}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{PLANTED}@h:1/0", "redis://@h:1/0"),
        (f"rediss://ada:{PLANTED}@h", "rediss://ada@h"),
        ("redis://:wh?at@h", "redis://..."),
        (f"rediss://h?ssl_password={PLANTED}&db=2", "rediss://..."),
        ("rediss://h?ssl_password=hidden&db=2", "rediss://h?db=2"),
        (f"redis+sentinel://:{PLANTED}@a:1,b:2/main", "redis+sentinel://@a:1,b:2/main"),
        ("redis://h?password=hidden", "redis://h"),
        ("redis://h:1/0", "redis://h:1/0"),
    ],
)
def test_a_url_is_shown_without_its_secret(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_settings_do_not_show_the_url() -> None:
    assert PLANTED not in repr(Settings(redis=f"redis://:{PLANTED}@h"))


@pytest.mark.parametrize("host", ["redis.example:6379", "10.0.0.7", "[2001:db8::1]:6379"])
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
def test_a_password_is_sent_to_another_machine_only_where_a_setting_allows_it(scheme: str, host: str) -> None:
    end = "/main" if scheme.endswith("sentinel") else ""
    for settings, url in (
        (settings_with("redis_password"), f"{scheme}://{host}{end}"),
        (Settings(), f"{scheme}://:p@{host}{end}"),
    ):
        with pytest.raises(InsecureSettings) as refused:
            connect_redis(settings, url)
        assert "plain text" in refused.value.message
        connect_redis(settings.model_copy(update={"redis_allow_plaintext_password": True}), url)
    connect_redis(settings_with("redis_password"), f"{scheme.replace('redis', 'rediss')}://{host}{end}")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis://localhost", "redis://[::1]:1", "unix:///s"])
def test_a_password_may_stay_on_this_machine_in_plain_text(url: str) -> None:
    connect_redis(settings_with("redis_password"), url)


def test_nodes_of_a_cluster_may_be_elsewhere_though_the_first_one_is_here() -> None:
    with pytest.raises(InsecureSettings):
        connect_redis(settings_with("redis_password"), "redis+cluster://127.0.0.1:7000")


def test_a_password_of_the_sentinels_is_kept_from_the_wire_too() -> None:
    with pytest.raises(InsecureSettings):
        connect_redis(settings_with("redis_sentinel_password"), "redis+sentinel://127.0.0.1/main")


def test_a_url_with_a_password_needs_no_user_of_the_settings() -> None:
    settings = settings_with("redis_password").model_copy(update={"redis_username": "of-another-server"})
    for url, user in (
        ("redis://:own@127.0.0.1", (None, "own")),
        ("redis://127.0.0.1", ("of-another-server", "p")),
    ):
        given = connect_redis(settings, url).connection_pool.connection_kwargs
        assert (given["username"], given["password"]) == user


def test_a_file_with_a_password_that_is_not_text_is_refused_without_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xffs3cret")
    with pytest.raises(InsecureSettings) as refused:
        connect_redis(Settings(redis_password_file=file), "redis://127.0.0.1")
    assert refused.value.message.endswith(f"{file}: it is not text in UTF-8")
