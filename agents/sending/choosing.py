"""Choose the persons of an account that a play addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resegment.sinks.configuration import PersonaEntry
from resegment.sinks.operation import Contact

NormalizeTitle = Callable[[str], str]
"""Returns a spelling that two titles of the same meaning share."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona of a play: its name, and the titles and roles that it means."""

    name: str
    titles: frozenset[str]
    roles: frozenset[str]

    def means(self, contact: Contact, normalize: NormalizeTitle) -> bool:
        """Return whether the contact is such a person."""
        if contact.persona and contact.persona.lower() == self.name.lower():
            return True
        if contact.role and contact.role.lower() in self.roles:
            return True
        return bool(contact.title) and normalize(contact.title or "") in self.titles


def read_personas(
    message: Mapping[str, Any] | None, extra: Mapping[str, PersonaEntry], normalize: NormalizeTitle
) -> list[Persona]:
    """Return the personas of a play, in its order, with what `sinks.yaml` adds to each."""
    given = (message or {}).get("personas")
    found = []
    for number, one in enumerate(given if isinstance(given, list) else []):
        entry = one if isinstance(one, dict) else {"name": one}
        name = str(entry.get("name") or f"persona {number + 1}")
        more = extra.get(name, PersonaEntry())
        written = entry.get("titles")
        titles = [str(title) for title in (written if isinstance(written, list) else [])]
        found.append(
            Persona(
                name,
                frozenset(normalize(title) for title in (*titles, *more.titles)),
                frozenset(role.lower() for role in (*more.roles, name)),
            )
        )
    return found


def choose_contacts(
    contacts: Sequence[Contact], personas: Sequence[Persona], most: int, normalize: NormalizeTitle
) -> list[Contact]:
    """Return up to `most` contacts: one for each persona in turn, then the next; all of a play without personas.

    A contact without an e-mail address or id can't be enrolled, a person who opted out never is, and each is chosen once.
    """
    out = {one.key for one in contacts if one.opted_out}
    able = [one for one in contacts if one.key not in out and (one.email or one.ids)]
    unique = list({one.key: one for one in reversed(able)}.values())[::-1]
    if not personas:
        return unique[:most]
    lines = [[one for one in unique if persona.means(one, normalize)] for persona in personas]
    chosen: dict[str, Contact] = {}
    for turn in range(len(unique)):
        for persona, line in zip(personas, lines, strict=True):
            if turn < len(line) and line[turn].key not in chosen and len(chosen) < most:
                chosen[line[turn].key] = _named(line[turn], persona.name)
    return list(chosen.values())


def _named(contact: Contact, persona: str) -> Contact:
    if contact.persona:
        return contact
    return Contact(
        contact.email,
        contact.first_name,
        contact.last_name,
        contact.title,
        contact.role,
        persona,
        contact.phone,
        contact.linkedin,
        contact.ids,
    )
