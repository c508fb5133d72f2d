"""The file of sinks: every problem at once, each with its place, and no secret in it or in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from resegment.sinks.loading import InvalidSinks, load_sinks, read_secrets

GOOD = """
tasks: chat
owners: {ada: {email: ada@example.com}}
sinks:
  chat:
    vendor: slack
    credentials: {token: {file: token}}
    workflows: {"*": {}}
  crm:
    vendor: salesforce
    url: https://example.my.salesforce.com
    credentials: {client_id: {env: ID}, client_secret: {env: SECRET}}
    workflows: {w: {task: true}}
    owners: {ada: {user: "005"}}
    fields: {segment: RS_Segment__c}
"""


def write(folder: Path, text: str) -> Path:
    (folder / "token").write_text("xoxb-hidden\n")
    path = folder / "sinks.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(InvalidSinks) as error:
        load_sinks(write(folder, text), {"ID": "i", "SECRET": "hidden-secret"})
    assert "hidden" not in str(error.value)
    return [(one.place.line, one.code) for one in error.value.diagnostics]


def test_a_good_file_is_read_with_targets_owners_and_base(tmp_path: Path) -> None:
    loaded = load_sinks(write(tmp_path, GOOD), {"ID": "i", "SECRET": "s"})
    chat, crm = loaded.sinks["chat"], loaded.sinks["crm"]
    assert chat.base == "https://slack.com"
    assert chat.target_of("anything") is not None
    assert crm.target_of("w").task
    assert crm.target_of("other") is None
    assert crm.owners["ada"].email == "ada@example.com"
    assert crm.owners["ada"].ids == {"user": "005"}
    assert read_secrets(chat, {}) == {"token": "xoxb-hidden"}


def test_a_secret_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    loaded = load_sinks(write(tmp_path, GOOD), {"ID": "i", "SECRET": "s"})
    (tmp_path / "token").write_text("xoxb-new")
    assert read_secrets(loaded.sinks["chat"], {}) == {"token": "xoxb-new"}


def test_all_problems_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """
tasks: nobody
contacts: [{table: missing.csv}, {sink: chat}]
sinks:
  chat:
    vendor: slack
    url: http://example.com
    credentials: {tokn: {env: UNSET}}
    workflows: {"*": {chanel: x}}
    owners: {ada: {usr: U1}}
    fields: {segment: s}
  crm:
    vendor: salesforce
    credentials: {client_id: {env: ID}, client_secret: {env: SECRET}}
  other: {vendor: hubspt, credentials: {}}
"""
    assert problems(tmp_path, text) == [
        (2, "unknown-name"),
        (3, "no-file"),
        (3, "wrong-use"),
        (7, "value-error"),
        (8, "missing"),
        (8, "extra-forbidden"),
        (8, "no-secret"),
        (9, "extra-forbidden"),
        (10, "extra-forbidden"),
        (11, "wrong-use"),
        (13, "missing"),
        (13, "unused"),
        (15, "unknown-vendor"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "sinks: {}",
        "sinks: 3",
        "sinks: {A: {}}",
        "sinks: {a: null}",
        "a: &a [*a]",
        "sinks: {a: {vendor: [x]}}",
    ],
)
def test_a_file_of_another_shape_is_refused_with_a_place(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_http_is_for_this_machine_only(tmp_path: Path) -> None:
    local = GOOD.replace("https://example.my.salesforce.com", "http://127.0.0.1:8080")
    assert load_sinks(write(tmp_path, local), {"ID": "i", "SECRET": "s"})
    assert problems(tmp_path, GOOD.replace("https://example.my.salesforce.com", "http://10.0.0.1"))
