"""The file of webhook endpoints: what it says, and what is told of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from resegment.sinks.webhook.endpoints import InvalidWebhooks, load_endpoints, load_webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests
FULL = """
allow_networks: [10.1.0.0/16]
endpoints:
  crm:
    url: https://crm.example.com:8443/hooks/1?key=2
    workflows: [crm, ads]
    actions: [enroll]
    secrets:
      - env: CRM_SECRET
      - file: old-secret
    timeout: 5s
    concurrency: 4
    give_up_after: 2d
    start: earliest
  internal:
    url: http://hooks.internal/
    workflows: all
    secrets: [{env: CRM_SECRET}]
    allow_hosts: [Hooks.Internal]
"""
WRONG = """
allow_networks: [10.1.0.0/99]
endpoints:
  Crm:
    url: https://example.com/
    secrets: [{env: A}]
  plain:
    url: http://example.com/
    secrets: [{env: A}]
  user:
    url: https://bob:hunter2@example.com/
    secrets: [{env: A}]
  fragment:
    url: https://example.com/#hunter2
    secrets: [{env: A}]
  inline:
    url: https://example.com/
    secrets: [whsec_hunter2]
  none:
    url: https://example.com/
    secrets: []
  three:
    url: https://example.com/
    secrets: [{env: A}, {env: A}, {env: A}]
  both:
    url: https://example.com/
    secrets: [{env: A, file: b}]
  loopback:
    url: https://127.0.0.1/
    secrets: [{env: A}]
  odd:
    url: https://example.com/
    secrets: [{env: UNSET}]
    timeout: 10
    concurrency: 0
    give_up_after: 30d
    colour: red
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "webhooks.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **environment: str) -> str:
    with pytest.raises(InvalidWebhooks) as caught:
        load_endpoints(write(folder, text), environment)
    return str(caught.value)


def test_a_file_says_who_gets_what(tmp_path: Path) -> None:
    (tmp_path / "old-secret").write_text(SECRET)
    loaded = load_endpoints(write(tmp_path, FULL), {"CRM_SECRET": SECRET})
    crm = loaded["crm"].endpoint
    assert (crm.timeout, crm.concurrency, crm.give_up_after, crm.start) == (5.0, 4, 172_800.0, "earliest")
    assert crm.workflows == {"crm", "ads"}
    assert crm.origin == "https://crm.example.com:8443"
    assert len(loaded["crm"].secrets) == 2
    assert loaded["internal"].endpoint.workflows is None
    assert loaded["internal"].guard.hosts == {"hooks.internal"}


def test_every_error_is_told_at_once_with_its_place_and_no_secret(tmp_path: Path) -> None:
    told = problems(tmp_path, WRONG, A=SECRET)
    file = tmp_path / "webhooks.yaml"
    for line, path, what in (
        (2, "allow_networks[0]", "a network is an address"),
        (4, "endpoints.Crm", "not a valid name for an endpoint"),
        (11, "endpoints.user.url", "must not contain a user or password"),
        (14, "endpoints.fragment.url", "must not have a fragment"),
        (18, "endpoints.inline.secrets[0]", "Don't write a secret into the file"),
        (21, "endpoints.none.secrets", "expected at least one"),
        (24, "endpoints.three.secrets", "expected at most 2"),
        (27, "endpoints.both.secrets[0]", "set either env or file"),
        (34, "endpoints.odd.timeout", "a duration is a whole number with"),
        (35, "endpoints.odd.concurrency", "expected a number of at least 1"),
        (36, "endpoints.odd.give_up_after", "expected at most 6d"),
        (37, "endpoints.odd.colour", "'colour' is not a key here (Check the spelling.)"),
    ):
        found = [one for one in told.splitlines() if f" {path}: " in one]
        assert found, f"{path} is not told of in:\n{told}"
        assert what in found[0]
        assert found[0].startswith(f"{file}:{line}:")
    assert "hunter2" not in told


def test_an_address_that_would_be_refused_is_told_at_once(tmp_path: Path) -> None:
    text = WRONG.replace("/99", "/16")
    assert "endpoints.loopback.url: the address is loopback" in problems(tmp_path, text, A=SECRET)
    text = text.replace("allow_networks: [10.1.0.0/16]", "")
    assert "endpoints.plain.url: http is allowed for internal hosts only" in problems(
        tmp_path, text, A=SECRET
    )


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "the variable A is not set"),
        ({"A": "hunter2hunter2"}, "does not begin with whsec_"),
        ({"A": "whsec_hunter2!"}, "is not base64"),
        ({"A": "whsec_aHVudGVyMg=="}, "has 7 bytes, not 24 to 64"),
    ],
)
def test_a_secret_that_is_none_is_told_without_telling_it(
    tmp_path: Path, given: dict[str, str], what: str
) -> None:
    told = problems(tmp_path, "endpoints: {a: {url: https://example.com/, secrets: [{env: A}]}}", **given)
    assert what in told
    assert "hunter2" not in told
    assert "aHVudGVyMg" not in told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("endpoints: {", "not-yaml"),
        ("[]", "the file is a map"),
        ("{}", "'endpoints' is required"),
        ("endpoints: {}", "expected at least one"),
        ("endpoints: [a]", "expected a map"),
        ("endpoints: {a: 1}", "expected a map"),
        ("endpoints: !!python/object:os.system {}", "error"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InvalidWebhooks, match=what):
        load_webhooks(write(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidWebhooks, match="no such file or folder"):
        load_webhooks(tmp_path / "nothing.yaml")


def test_neither_url_nor_secret_is_shown_by_what_holds_them(tmp_path: Path) -> None:
    text = "endpoints: {a: {url: https://example.com/hunter2, secrets: [{env: A}]}}"
    shown = repr(load_endpoints(write(tmp_path, text), {"A": SECRET})["a"])
    assert "hunter2" not in shown
    assert "MfKQ9r8" not in shown
    assert repr(b"1\xf2\x90")[2:-1] not in shown


HOSTS = ["a..b", ".a", "xn--", "xn--a", "-a.com", "a-.com", "a" * 64 + ".com", "a." * 127 + "com", "a%20b"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_cannot_be_looked_up_is_an_error_of_the_file(tmp_path: Path, host: str) -> None:
    text = f"endpoints:\n  crm:\n    url: https://{host}/hunter2\n    secrets: [{{env: A}}]\n"
    told = problems(tmp_path, text, A=SECRET)
    assert "webhooks.yaml:3:" in told
    assert "endpoints.crm.url" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "host",
    ["example.com", "example.com.", "müller.de", "xn--mller-kva.de", "a_b.svc", "8.8.8.8", "[2606::1]"],
)
def test_a_host_that_can_be_looked_up_is_accepted(tmp_path: Path, host: str) -> None:
    text = f"endpoints:\n  crm:\n    url: https://{host}/\n    secrets: [{{env: A}}]\n"
    assert load_endpoints(write(tmp_path, text), {"A": SECRET})["crm"].endpoint.url == f"https://{host}/"


@pytest.mark.parametrize("host", ["169.254.170.2", "[fd00:ec2::23]", "[fe80::1]", "[64:ff9b:1::a9fe:a9fe]"])
def test_a_metadata_address_is_an_error_of_the_file_whatever_it_allows(tmp_path: Path, host: str) -> None:
    text = (
        f"allow_networks: ['0.0.0.0/0', '::/0']\nendpoints:\n  crm:\n    url: http://{host}/\n"
        f"    allow_hosts: ['{host.strip('[]')}']\n    secrets: [{{env: A}}]\n"
    )
    told = problems(tmp_path, text, A=SECRET)
    assert "endpoints.crm.url: the address is " in told
    assert "No setting allows this address" in told


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_port_that_does_not_exist_is_an_error_of_the_file(tmp_path: Path, port: int) -> None:
    text = f"endpoints:\n  crm:\n    url: https://a.com:{port}/\n    secrets: [{{env: A}}]\n"
    assert "from 1 to 65535" in problems(tmp_path, text, A=SECRET)


def test_the_hint_about_names_is_not_given_for_other_keys_of_an_endpoint(tmp_path: Path) -> None:
    text = "endpoints: {a: {url: https://example.com/, secrets: [{env: A}], timeout: 400s}}"
    told = problems(tmp_path, text, A=SECRET)
    assert "endpoints.a.timeout: expected at most 5m [" in told


def test_an_action_that_no_command_has_is_refused(tmp_path: Path) -> None:
    text = "endpoints: {a: {url: https://example.com/, secrets: [{env: A}], actions: [enroll, enrol]}}"
    assert "endpoints.a.actions: an action is one of enroll, stop, " in problems(tmp_path, text, A=SECRET)


HEADERS = """
endpoints:
  crm:
    url: https://crm.example.com/hooks
    secrets: [{env: CRM_SECRET}]
    headers:
      Authorization: {env: CRM_TOKEN}
      x-tenant: {file: tenant}
"""


SET = {"CRM_SECRET": SECRET, "CRM_TOKEN": "t"}


def test_headers_are_read_from_variables_and_files_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "tenant").write_text("acme\n")
    given = {"CRM_SECRET": SECRET, "CRM_TOKEN": "Bearer hunter2"}
    loaded = load_endpoints(write(tmp_path, HEADERS), given)["crm"]
    assert loaded.headers == {"authorization": "Bearer hunter2", "x-tenant": "acme"}
    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in repr(loaded.endpoint)


def test_a_header_without_a_value_is_an_error_at_the_start(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADERS, CRM_SECRET=SECRET)
    assert "the variable CRM_TOKEN is not set" in found
    assert f"the file {tmp_path / 'tenant'} cannot be read" in found


@pytest.mark.parametrize("value", ["", "a\r\nX-Admin: 1", "hunter2\x00", "hunter2é", "h" * 10_000])
def test_a_value_that_no_header_may_have_is_an_error_that_does_not_quote_it(
    tmp_path: Path, value: str
) -> None:
    (tmp_path / "tenant").write_text("acme")
    found = problems(tmp_path, HEADERS, CRM_SECRET=SECRET, CRM_TOKEN=value)
    assert "the variable CRM_TOKEN: " in found
    assert "hunter2" not in found
    assert "X-Admin" not in found


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Content-Type",
        "transfer-encoding",
        "connection",
        "webhook-signature",
        "Webhook-Id",
    ],
)
def test_a_header_of_the_request_or_its_signature_cannot_be_set(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, HEADERS.replace("x-tenant", f'"{name}"'), **SET)
    assert f"the header {name.lower()} is part of the request or its signature" in found


@pytest.mark.parametrize("name", ["x tenant", "x:tenant", "x-tenänt", "authorization"])
def test_a_header_needs_a_valid_name_and_only_once(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, HEADERS.replace("x-tenant", f'"{name}"'), **SET)
    assert "is not a valid name for a header" in found or "is there twice" in found


def test_a_secret_in_the_place_of_its_source_is_refused_and_not_quoted(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADERS.replace("{env: CRM_TOKEN}", "Bearer hunter2"), CRM_SECRET=SECRET)
    assert "{env: VARIABLE}" in found
    assert "hunter2" not in found.replace(HEADERS, "")


def test_an_endpoint_may_get_changes_and_nothing_that_is_no_topic(tmp_path: Path) -> None:
    text = FULL.replace("    workflows: all\n", "    topics: [segment-changes]\n")
    assert load_webhooks(write(tmp_path, text)).endpoints["internal"].topics == {"segment-changes"}
    for wrong in ("[signals]", "segment-changes", "[]", "{segment-changes: true}", "[[segment-changes]]"):
        found = problems(tmp_path, text.replace("[segment-changes]", wrong), CRM_SECRET=SECRET)
        assert "topics: the topics are a list of workflow-commands and segment-changes" in found
