"""Find the code of a country from its name in many languages, or from another code."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.core import get_global

_LANGUAGES: Final = (
    "en", "de", "fr", "es", "nl", "pt", "it", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "el", "tr", "ru", "uk", "ja", "zh", "ko", "ar", "he",
)  # fmt: skip
"""Those whose names of countries are known; where two languages give one name to two countries, the first counts."""
_NO_COUNTRIES: Final = frozenset({"ZZ", "XA", "XB", "EU", "EZ", "UN", "QO"})
_ALSO: Final = {
    "america": "US", "unitedstatesofamerica": "US", "usofa": "US", "theunitedstates": "US", "etatsunisdamerique": "US", "estadosunidosdeamerica": "US",
    "england": "GB", "scotland": "GB", "wales": "GB", "northernireland": "GB", "greatbritain": "GB", "britain": "GB", "uk": "GB",
    "unitedkingdomofgreatbritainandnorthernireland": "GB", "holland": "NL", "thenetherlands": "NL", "southkorea": "KR", "republicofkorea": "KR",
    "korea": "KR", "northkorea": "KP", "russianfederation": "RU", "russia": "RU", "czechrepublic": "CZ", "czechia": "CZ", "turkey": "TR", "turkiye": "TR",
    "uae": "AE", "unitedarabemirates": "AE", "macedonia": "MK", "ivorycoast": "CI", "capeverde": "CV", "swaziland": "SZ", "burma": "MM", "vietnam": "VN",
    "iran": "IR", "syria": "SY", "moldova": "MD", "bolivia": "BO", "venezuela": "VE", "tanzania": "TZ", "laos": "LA", "brunei": "BN", "hongkong": "HK",
    "macau": "MO", "macao": "MO", "taiwan": "TW", "republicofireland": "IE", "eire": "IE", "peoplesrepublicofchina": "CN", "prc": "CN", "mainlandchina": "CN",
    "drcongo": "CD", "congokinshasa": "CD", "congobrazzaville": "CG", "vaticancity": "VA", "palestine": "PS", "brd": "DE", "bundesrepublikdeutschland": "DE",
}  # fmt: skip


@lru_cache(maxsize=4096)
def find_country(raw: str) -> str | None:
    """Return the code of ISO 3166-1 with two letters: `Deutschland`, `DEU` and `de` are `DE`; None for what names none."""
    name = _fold(raw)
    if len(name) in (2, 3) and raw.strip().isascii() and (code := _codes().get(name.upper())) is not None:
        return code
    return _names().get(name)


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Return the codes with two and three letters, and with three digits."""
    known = {str(code) for code in Locale("en").territories if _is_country(str(code))}
    found = {code: code for code in known}
    for code, codes in get_global("territory_aliases").items():
        if len(code) == 3 and len(codes) == 1 and codes[0] in known:
            found[code] = codes[0]
    return found | {"UK": "GB"}


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    found = dict(_ALSO)
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if _is_country(str(code)):
                found.setdefault(_fold(str(name)), str(code))
    return found


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES


def _fold(text: str) -> str:
    """Return the letters and digits of a name, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text[:200]).casefold()
    return "".join(one for one in plain if one.isalnum())
