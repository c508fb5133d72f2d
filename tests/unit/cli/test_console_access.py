"""What the settings say of logins to the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resegment.cli.access.entrance import advise_login, read_oidc, read_policy
from resegment.http.access.oidc import WrongOidc
from resegment.http.access.policy import WrongAddress
from resegment.settings import InsecureSettings, Settings
from tests.unit.http.access.world import make_world

OIDC = {"oidc_issuer": "https://login.acme.com", "oidc_client_id": "resegment", "oidc_viewers": "*"}


def test_the_defaults_let_this_machine_read_and_end_logins() -> None:
    policy = read_policy(Settings(actor="ann"))
    assert (policy.local, policy.local_name, policy.secure) == ("viewer", "ann", False)
    assert (policy.lifetimes.idle, policy.lifetimes.whole) == (3_600_000, 28_800_000)
    assert read_oidc(Settings()) is None


def test_the_settings_say_who_logs_in_and_for_how_long() -> None:
    given: Any = {"console_local": "none", "console_idle": "10m", "console_session": "1h"}
    policy = read_policy(Settings(console_url="https://segments.acme.com", **given))
    assert (policy.local, policy.secure, policy.names) == (None, True, ["segments.acme.com"])
    assert (policy.lifetimes.idle, policy.lifetimes.whole) == (600_000, 3_600_000)


def test_the_host_of_the_console_is_served() -> None:
    settings = Settings(console_url="https://Segments.acme.com:8443", http_hosts="a.com, b.com")
    assert settings.http_names == ["a.com", "b.com", "segments.acme.com"]


def test_people_and_groups_are_listed_with_commas_and_the_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    found = read_oidc(
        Settings(
            **OIDC | {"oidc_viewers": "gtm"},
            oidc_operators=" ops, ann@acme.com ,",
            oidc_client_secret_file=tmp_path / "secret",
        )
    )
    assert found is not None
    assert found.operators == {"ops", "ann@acme.com"}
    assert (found.client_secret, found.claim) == ("s3cret", "groups")


@pytest.mark.parametrize(
    "wrong",
    [{"oidc_viewers": ""}, {"oidc_client_id": None}, {"oidc_operators": "*"}, {"oidc_issuer": "acme"}],
)
def test_a_login_that_lets_nobody_or_anybody_in_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongOidc):
        read_oidc(Settings(**OIDC | wrong))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InsecureSettings):
        read_oidc(Settings(**OIDC, oidc_client_secret_file=tmp_path / "none"))  # type: ignore[arg-type]
    with pytest.raises(WrongAddress):
        read_policy(Settings(console_url="segments.acme.com"))


async def test_up_says_how_to_get_in_where_nobody_could() -> None:
    world = make_world()
    assert "resegment tokens create" in (await advise_login(world.entrance) or "")
    await world.token()
    assert await advise_login(world.entrance) is None
    assert await advise_login(make_world(address="127.0.0.1").entrance) is None
