"""The hosts that are listed with Resegment: which are refused, with what reason, and which are companies."""

from __future__ import annotations

from importlib import resources

import pytest

from resegment.errors import RefusedEvent
from resegment.identity.domains import SharedHost, registrable_domain
from resegment.identity.listed_hosts import listed_hosts


def lines_of(name: str) -> list[str]:
    text = resources.files("resegment.identity").joinpath(name).read_text("utf-8")
    return [entry for line in text.splitlines() if (entry := line.partition("#")[0].strip())]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("jo@orange.fr", "orange.fr is a mailbox provider"),
        ("jo@hotmail.co.uk", "hotmail.co.uk is a mailbox provider"),
        ("jo@comcast.net", "comcast.net is a mailbox provider"),
        ("libero.it", "libero.it is a mailbox provider"),
        ("https://naver.com/jo", "naver.com is a mailbox provider"),
        ("jo@btinternet.com", "btinternet.com is a mailbox provider"),
        ("jo@yahoo.com", "yahoo.com is a mailbox provider"),
        ("https://acme.wd5.myworkdayjobs.com/x", "myworkdayjobs.com hosts job boards of many companies"),
        ("acme.bamboohr.com", "bamboohr.com hosts job boards of many companies"),
        ("https://jobs.smartrecruiters.com/Acme", "smartrecruiters.com hosts job boards of many companies"),
        ("https://boards.greenhouse.io/acme", "boards.greenhouse.io hosts job boards of many companies"),
        ("www.acme.zendesk.com", "zendesk.com hosts help desks and workspaces of many companies"),
        ("acme.atlassian.net", "atlassian.net hosts help desks and workspaces of many companies"),
        ("acme.onmicrosoft.com", "onmicrosoft.com hosts help desks and workspaces of many companies"),
        ("acme.wixsite.com/home", "wixsite.com hosts websites of many companies"),
        ("acme.webflow.io", "webflow.io hosts websites of many companies"),
        ("github.com/acme", "github.com is a host that many companies share"),
    ],
)
def test_a_listed_host_is_refused_with_its_reason(subject: str, reason: str) -> None:
    with pytest.raises(SharedHost) as caught:
        registrable_domain(subject)
    assert caught.value.message.startswith(f"{reason}: use the company's own domain")


@pytest.mark.parametrize(
    ("subject", "account"),
    [
        ("jo@comcast.com", "comcast.com"),
        ("jo@zendesk.com", "zendesk.com"),
        ("https://www.bamboohr.com/pricing", "bamboohr.com"),
        ("smartrecruiters.com", "smartrecruiters.com"),
        ("greenhouse.io", "greenhouse.io"),
        ("jo@mail.salesforce.com", "salesforce.com"),
        ("acme.myshopify.com", "acme.myshopify.com"),
        ("acme.dyndns.org", "acme.dyndns.org"),
    ],
)
def test_the_company_that_makes_a_product_is_an_account(subject: str, account: str) -> None:
    assert registrable_domain(subject) == account


def test_every_listed_mailbox_is_refused_unless_it_is_a_company() -> None:
    companies = set(lines_of("companies.txt"))
    passed = set()
    for host in lines_of("free_mail.txt") + lines_of("mailboxes.txt"):
        try:
            registrable_domain(f"jo@{host}")
        except SharedHost:
            continue
        except RefusedEvent:
            assert host == "dyndns.org"  # a public suffix
        passed.add(host)
    assert passed == companies


def test_every_company_in_the_exceptions_is_on_the_list_that_it_is_excepted_from() -> None:
    assert set(lines_of("companies.txt")) <= set(lines_of("free_mail.txt"))


def test_every_name_beneath_a_host_of_customers_is_refused() -> None:
    for name in ("hiring_hosts.txt", "help_desks.txt", "site_builders.txt"):
        for entry in lines_of(name):
            host = entry.removeprefix("*.")
            with pytest.raises(SharedHost) as caught:
                registrable_domain(f"acme.{host}")
            assert caught.value.host == host
            if entry != host:
                assert registrable_domain(f"www.{host}") == registrable_domain(host)


def test_no_list_names_a_host_twice() -> None:
    for name in ("free_mail.txt", "mailboxes.txt", "hiring_hosts.txt", "help_desks.txt", "site_builders.txt"):
        listed = lines_of(name)
        assert len(listed) == len(set(listed)), name


def test_the_license_of_the_list_of_free_mail_is_beside_it() -> None:
    text = resources.files("resegment.identity").joinpath("free_mail_license.txt").read_text("utf-8")
    assert text.startswith("Copyright (c) 2015, Will White")
    assert len(listed_hosts().whole) > 4_500
