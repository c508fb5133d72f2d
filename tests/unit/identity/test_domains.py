"""From any spelling of an address to the account it means."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.identity.domains import SharedHost, registrable_domain


@pytest.mark.parametrize(
    "subject",
    [
        "acme.com",
        "ACME.com",
        " acme.com ",
        "acme.com.",
        "https://www.Acme.com/x",
        "http://acme.com:8080/a?b=c#d",
        "https://acme.com?utm_source=x",
        "//acme.com/",
        "careers.acme.com",
        "jo@acme.com",
        "mailto:jo@acme.com",
        "https://user:secret@shop.acme.com/",
        "my_shop.acme.com",
        "acme\uff0ecom",
    ],
)
def test_every_spelling_of_an_address_is_one_account(subject: str) -> None:
    assert registrable_domain(subject) == "acme.com"


@pytest.mark.parametrize(
    ("subject", "account"),
    [
        ("shop.acme.co.uk", "acme.co.uk"),
        ("www.acme.github.io", "acme.github.io"),
        ("acct-1.example", "acct-1.example"),
        ("https://Bücher.de/", "xn--bcher-kva.de"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("www.google.com", "google.com"),
        ("myx.com", "myx.com"),
    ],
)
def test_the_account_is_the_registrable_domain(subject: str, account: str) -> None:
    assert registrable_domain(subject) == account


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "http://",
        "   ",
        "localhost",
        "http://url",
        "192.168.0.1",
        "http://10.0.0.1:80/",
        "0x7f.0.0.0x1",
        "[::1]",
        "2001:db8::1",
        "com",
        "co.uk",
        "github.io",
        "acme..com",
        ".acme.com",
        "ac me.com",
        "acme-.com",
        "-acme.com",
        "ac_me.com",
        "acme.com, other.com",
        "xn--zzzzzzz999999.com",
        "a" * 64 + ".com",
        "a." * 140 + "com",
        "http://acme.com/" + "x" * 3_000,
    ],
)
def test_what_names_no_company_is_refused(subject: str) -> None:
    with pytest.raises(RefusedEvent) as refused:
        registrable_domain(subject)
    assert refused.value.reason == "not-a-company"
    assert refused.value.field == "subject"


@pytest.mark.parametrize(
    "subject",
    [
        "https://github.com/acme",
        "www.linkedin.com/company/acme",
        "https://apps.apple.com/app/id1",
        "sites.google.com/acme",
        "jo@gmail.com",
        "acme.notion.site",
    ],
)
def test_a_page_on_a_host_that_many_share_names_no_company(subject: str) -> None:
    with pytest.raises(SharedHost) as refused:
        registrable_domain(subject)
    assert refused.value.reason == "not-a-company"


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(
    LABELS | st.sampled_from(["co", "uk", "com", "ck", "www", "github", "io", "bücher", "日本"]), max_size=6
)


@given(HOSTS.map(".".join) | st.text(max_size=40))
@example("www.ck")
@example("a.b.compute.amazonaws.com")
@example("x.xn--p1ai")
def test_an_account_names_itself(subject: str) -> None:
    try:
        account = registrable_domain(subject)
    except RefusedEvent:
        return
    assert registrable_domain(account) == account
    assert registrable_domain(f"https://{account.upper()}:443/path?q#f") == account


@given(st.text())
def test_any_text_is_an_account_or_refused_for_its_subject(subject: str) -> None:
    reason = None
    try:
        account = registrable_domain(subject)
    except RefusedEvent as refused:
        reason, account = refused.reason, None
    assert (reason == "not-a-company") if account is None else ("." in account)
