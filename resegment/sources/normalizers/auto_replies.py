"""Tell the answers of machines from those of people: out of office, and other automatic replies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from resegment.sources.adapters.records import Record

_SUBJECTS: Final = re.compile(
    r"\s*(?:\[[^\]]{0,40}\]\s*)?(?:automatic reply|auto[- ]?reply|autoreply|auto[- ]?response|autoresponse|auto:"
    r"|out[- ]of[- ](?:the[- ])?office|ooo\b|on (?:vacation|holiday|parental leave|annual leave|leave)\b|vacation (?:reply|response)"
    r"|automatische antwort|abwesenheit|abwesend|nicht im b[üu]ro"
    r"|r[ée]ponse automatique|absence du bureau|absent du bureau|absent\(e\)"
    r"|respuesta autom[áa]tica|fuera de (?:la )?oficina|risposta automatica|fuori sede|fuori ufficio"
    r"|resposta autom[áa]tica|automatisch antwoord|afwezig|autosvar|automatiskt svar|automaattinen vastaus|fr[åa]nvaro"
    r"|automatyczna odpowied|自动回复|自動回覆|自動返信|자동 ?(?:회신|응답))",
    re.IGNORECASE,
)
_FLAGS: Final = (
    "is_auto_reply",
    "auto_reply",
    "isAutomatic",
    "is_automated",
    "automated_reply",
    "is_out_of_office",
    "out_of_office",
)
_HEADERS: Final = {
    "autosubmitted": re.compile(r"\s*auto-(?:replied|generated|notified)", re.IGNORECASE),
    "precedence": re.compile(r"\s*(?:auto_reply|auto-reply)", re.IGNORECASE),
    "xautoreply": re.compile(r"\s*(?:yes|true|1)", re.IGNORECASE),
    "xautorespond": re.compile(r".*", re.DOTALL),
    "xautoreplyfrom": re.compile(r".*", re.DOTALL),
}
"""Headers that mark the answer of a machine (RFC 3834, and what mail servers write)."""


def is_auto_subject(subject: str | None) -> bool:
    """Whether the subject of a reply says that a machine wrote it: `Automatic reply: ...`, `Abwesenheitsnotiz`."""
    return subject is not None and _SUBJECTS.match(subject[:200]) is not None


def is_auto_reply(record: Record, subjects: tuple[str, ...], headers: tuple[str, ...] = ("headers",)) -> bool:
    """Whether a record marks a reply as automatic: by a flag, by a header of the mail, or by one of the subjects."""
    if any(str(record.find(flag)).lower() in ("true", "1", "yes") for flag in _FLAGS):
        return True
    if any(is_auto_subject(record.find_text(path)) for path in subjects):
        return True
    return any(_marks(record.find(path)) for path in headers)


def _marks(given: Any) -> bool:
    if not isinstance(given, Mapping):
        return False
    record = Record(given)
    return any(
        (text := record.find_text(name)) is not None and mark.match(text) is not None
        for name, mark in _HEADERS.items()
    )
