"""What the extended pairs draw from: attributes of one's own, dates, lists, files and accounts."""

from datetime import timedelta
from typing import NamedTuple

from .vocabulary import DAY, INDUSTRIES, START, TECHNOLOGIES, WORDS, Draw, Json

TYPES: dict[str, Json] = {
    "renewal_date": "date",
    "seats": "number",
    "plan": "text",
    "grade": {"one_of": ["a", "b", "c"]},
    "regions": "list",
}
"""Attributes of one's own, and the types that a file may give them."""

SEATS: list[Json] = [5, "5", "10", " 10 ", 20, "20.0", "1e1", "1,200", "51-200", "007", 7.5, True, "", [5]]
PLANS: list[Json] = ["pro", " pro ", "free", "Pro plus", "C# kit", "C# kit", 5, "5", "", True]
GRADES: list[Json] = ["a", "b", " a ", "c", "A", "d", 1, ""]
REGIONS: list[Json] = [["eu"], ["us", "eu"], [" eu "], ["apac", 1], "eu", []]
NO_DATES: list[Json] = [
    "2024-02-30",
    "2023-02-29",
    "2024-01-05T00:00:00",
    "2024-1-5",
    "20240105",
    "2024-01-05T00:00:00+0200",
    "soon",
    20240105,
    True,
    ["2024-01-05"],
    "",
]
FAR_DATES = ["0001-01-01", "0001-01-01T00:00:00.001Z", "1969-12-31T23:59:59.999Z", "9999-12-31", "2400-02-29"]

ACCOUNTS = ["acme.com", "zeta.io", "xn--mller-kva.de", "b.co"]
"""The accounts of the streams, as they are spelled."""

SPELLINGS = {
    "acme.com": ["https://www.acme.com/x", "ACME.com", "jo@acme.com", "acme.com", "www.acme.com # ours"],
    "zeta.io": ["zeta.io", "\tzeta.io  # a comment", "http://blog.zeta.io/a?b"],
    "xn--mller-kva.de": ["müller.de", "xn--mller-kva.de", "https://MÜLLER.de/#top"],
    "b.co": ["b.co", "www.b.co"],
}

LISTS: dict[str, list[Json]] = {
    "industries": ["saas", "retail"],
    "tools": ["dbt", "hubspot"],
    "numbers": [1, 2, 50],
    "words": ["gold", "GRO", "SDR", "crm"],
    "ours": ["acme.com", "b.co"],
    "mixed": ["x", 1, True, "$tools"],
}
"""Lists by name, as they stand in files of segments."""


class Sample(NamedTuple):
    """A segments file, the events of a stream, and the text of each file that a test names, by its path."""

    file: dict[str, Json]
    events: list[dict[str, Json]]
    files: dict[str, str]


def near_date(draw: Draw) -> str:
    """A date or instant that falls together with facts, or with the ends of their windows, or just misses them."""
    at = draw.choice([0, 1, 2, 3, 5, 5, 8, 8, 13]) * DAY + draw.choice([0, 0, 0, 0, DAY // 2])
    moment = START + timedelta(milliseconds=at)
    if draw.random() < 0.4:
        return moment.date().isoformat()
    moment += timedelta(milliseconds=draw.choice([0, 0, 0, -1, 1]))
    shape = draw.random()
    if shape < 0.3:
        east = moment + timedelta(hours=5, minutes=30)
        return east.replace(tzinfo=None).isoformat(timespec="milliseconds") + "+05:30"
    if shape < 0.4:
        return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds") + "z"
    if shape < 0.5:
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "999999Z"
    return moment.replace(tzinfo=None).isoformat(timespec="auto") + "Z"


def date_value(draw: Draw) -> Json:
    """What stands where a date is meant."""
    kind = draw.random()
    if kind < 0.72:
        return near_date(draw)
    if kind < 0.78:
        return f" {near_date(draw)}\t"
    if kind < 0.86:
        return draw.choice(FAR_DATES)
    if kind < 0.92:  # the clock of a place that is not told
        return near_date(draw)[:10] + draw.choice(["T00:00:00", "T12:00:00", " 00:00:00"])
    return draw.choice(NO_DATES)


def list_file(draw: Draw, entries: list[str]) -> str:
    """The text of a file with these lines, among comments, empty lines and other entries."""
    noise = ["# saas", "", "  ", "   # fintech", "other-x.com", "# acme.com"]
    lines = [*entries, *draw.sample(noise, k=draw.randint(0, 4))]
    draw.shuffle(lines)
    return ("\ufeff" if draw.random() < 0.1 else "") + draw.choice(["\n", "\n", "\r\n"]).join(lines)


def files(draw: Draw) -> dict[str, str]:
    """Lists in files; those of accounts hold them in many spellings."""
    ours = [draw.choice(SPELLINGS[one]) for one in draw.sample(ACCOUNTS, k=draw.randint(0, 3))]
    words = [
        "saas",
        "fintech # money",
        "  sales  ",
        "C# kit",
        "pro",
        "Gold",
        "golden#x",
        "1",
        "x #",
        "C# kit",
    ]
    words += ["SDR", "demo_request", "crm", "series_a"]
    return {
        "accounts.txt": list_file(draw, ours),
        "lists/words.txt": list_file(draw, draw.sample(words, k=draw.randint(2, 9))),
        "lists/empty.txt": list_file(draw, []),
    }


def texts_of(name: str) -> list[str]:
    """The texts that a field of the contract takes in the streams."""
    if name == "industry":
        return INDUSTRIES
    if name == "technology":
        return TECHNOLOGIES
    return next(fields[name] for fields in WORDS.values() if name in fields)
