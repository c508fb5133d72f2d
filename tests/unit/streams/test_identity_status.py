"""What `status` says of names and aliases."""

from __future__ import annotations

from resegment.streams.identities.status import IdentityLook, find_identity_notes


def test_events_that_wait_are_said_with_the_command_that_shows_them() -> None:
    assert find_identity_notes(IdentityLook()) == []
    assert find_identity_notes(IdentityLook(1, 1)) == [
        "1 event waits because a name or id means no account yet: `resegment accounts unresolved` shows them"
    ]
    assert find_identity_notes(IdentityLook(1_200, 7)) == [
        "1,200 events wait because 7 names or ids mean no account yet: `resegment accounts unresolved` shows them"
    ]


def test_an_alias_that_came_too_late_is_said_with_the_command_that_merges() -> None:
    pairs = [(f"a{number}.io", "acme.com") for number in range(5)]
    first, *_, last = find_identity_notes(IdentityLook(separate=pairs))
    assert first == (
        "a0.io is an alias of acme.com by the file, and still an account of its own: "
        "`resegment accounts merge a0.io acme.com` makes them one"
    )
    assert last == "so are 2 more aliases of the file"
