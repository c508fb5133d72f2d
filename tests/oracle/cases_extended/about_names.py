"""The account itself, lists in files, names of lists and conditions, and pieces of texts."""

from tests.oracle.cases import day, event, funding, hiring, segments

from .builders import ExtendedCase, extended, truth, when

ACCOUNTS = [
    *truth("the account is its domain", True, {"account": "acme.com"}, {}),
    *truth("the account is known to be another", False, {"account": ["zeta.io", "b.co"]}, {}),
    *truth("the account may be one of a list", True, {"account": ["zeta.io", "acme.com"]}, {}),
    *truth("the account is not one of a list", True, {"account": {"not_in": ["zeta.io"]}}, {}),
    *truth("the account always exists", True, {"account": {"exists": True}}, {}),
    *truth("the account is a text", True, {"account": {"matches": "^a.*[.]com$", "contains": "CME"}}, {}),
    *truth(
        "the account is spelled as accounts are",
        True,
        {"account": "xn--mller-kva.de"},
        {},
        account="müller.de",
    ),
    *truth(
        "a field of a snapshot does not hide the account",
        True,
        {"account": "acme.com"},
        {"account": "zeta.io"},
    ),
    *truth(
        "in where the account is a field like others",
        True,
        {"event": "firmographic", "where": {"account": "zeta.io"}},
        {"account": "zeta.io"},
    ),
    *truth(
        "in where a missing account matches nothing",
        False,
        {"event": "firmographic", "where": {"account": "acme.com"}},
        {},
    ),
]

OURS = "# customers\nhttps://www.acme.com/x  # the first\n\n  MÜLLER.de\njo@b.co\n"
WORDS = "\ufeffsaas # software\n  fin tech  \r\n#retail\n   # mining\nC# shops\nx#y\nC #\n5\n"
IN_WORDS = {"industry": {"in_file": "lists/words.txt"}}


def filed(name: str, value: object, industry: object) -> list[ExtendedCase]:
    return truth(name, value, IN_WORDS, {"industry": industry}, files={"lists/words.txt": WORDS})


def owned(name: str, value: object, account: str, operator: str = "in_file") -> list[ExtendedCase]:
    condition = {"account": {operator: "ours.txt"}}
    return truth(name, value, condition, {}, account=account, files={"ours.txt": OURS})


EMPTY = {"empty.txt": "# nothing yet\n\n"}
FILES = [
    *owned("a line may be an address of the account's page", True, "acme.com"),
    *owned("a line may be in another script and case", True, "müller.de"),
    *owned("a line may be a mailbox", True, "b.co"),
    *owned("an account on no line is not in the file", False, "zeta.io"),
    *owned("not_in_file holds of an account on no line", True, "zeta.io", "not_in_file"),
    *owned("not_in_file does not hold of an account on a line", False, "acme.com", "not_in_file"),
    *filed("a line ends before its comment", True, "saas"),
    *filed("a line is trimmed", True, "fin tech"),
    *filed("a line is compared as a whole", False, "fin"),
    *filed("a line is compared exactly", False, "SaaS"),
    *filed("a comment at a line's start is no line", False, "retail"),
    *filed("a comment after spaces is no line", False, "mining"),
    *filed("a # within a word is no comment", True, "C# shops"),
    *filed("a # after a letter is no comment", True, "x#y"),
    *filed("a # after a space is a comment", True, "C"),
    *filed("a line with its comment is not the entry", False, "saas # software"),
    *filed("a value is trimmed before it is compared", True, " saas "),
    *filed("a missing value is not known to be in a file", None, None),
    *filed("a list is not known to be in a file", None, ["saas"]),
    *truth(
        "a number is not known to be in a file",
        None,
        {"fit": {"in_file": "lists/words.txt"}},
        {"fit": 5},
        files={"lists/words.txt": WORDS},
    ),
    *truth(
        "a number is not known to be out of a file",
        None,
        {"fit": {"not_in_file": "lists/words.txt"}},
        {"fit": 6},
        files={"lists/words.txt": WORDS},
    ),
    *truth(
        "nothing is in an empty file",
        False,
        {"industry": {"in_file": "empty.txt"}},
        {"industry": "x"},
        files=EMPTY,
    ),
    *truth(
        "all texts are out of an empty file",
        True,
        {"industry": {"not_in_file": "empty.txt"}},
        {"industry": "x"},
        files=EMPTY,
    ),
    extended(
        "in_file works in where, where what is not known does not match",
        when({"event": "funding", "where": {"vendor": {"not_in_file": "words.txt"}}}),
        [
            funding(day(0)),
            funding(day(1), vendor=5),
            funding(day(2), vendor="saas"),
            funding(day(3), vendor="oil"),
        ],
        ("out", day(0)),
        ("in", day(3)),
        files={"words.txt": WORDS},
    ),
    extended(
        "in_file works with a trait that is a text",
        when({"round": {"in_file": "rounds.txt"}}, {"round": {"latest": "funding", "field": "round"}}),
        [funding(day(0), round="seed"), funding(day(1), round="series_a"), funding(day(2), round="ipo")],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(2)),
        files={"rounds.txt": "series_a\nseries_b"},
    ),
]

LISTS = {"eu": ["DE", "FR"], "tools": ["dbt", "hubspot"], "numbers": [1, 2], "odd": ["$eu", "x"]}
NAMES = [
    *truth("a list by its name stands for in", True, {"country": "$eu"}, {"country": "FR"}, lists=LISTS),
    *truth(
        "a value that is none of a list by its name",
        False,
        {"country": "$eu"},
        {"country": "US"},
        lists=LISTS,
    ),
    *truth(
        "a list by its name stands under in", True, {"country": {"in": "$eu"}}, {"country": "DE"}, lists=LISTS
    ),
    *truth(
        "a list by its name stands under not_in",
        True,
        {"country": {"not_in": "$eu"}},
        {"country": "US"},
        lists=LISTS,
    ),
    *truth(
        "a list by its name stands under has_all",
        False,
        {"technologies": {"has_all": "$tools"}},
        {"technologies": ["dbt"]},
        lists=LISTS,
    ),
    *truth(
        "a list by its name stands under has_any",
        True,
        {"technologies": {"has_any": "$tools"}},
        {"technologies": ["dbt"]},
        lists=LISTS,
    ),
    *truth(
        "a list by its name stands under has_none",
        False,
        {"technologies": {"has_none": "$tools"}},
        {"technologies": ["dbt"]},
        lists=LISTS,
    ),
    *truth(
        "a list by its name stands under contains_any",
        True,
        {"name": {"contains_any": "$tools"}},
        {"name": "The DBT shop"},
        lists=LISTS,
    ),
    *truth("a list by its name may hold numbers", True, {"fit": "$numbers"}, {"fit": 2.0}, lists=LISTS),
    *truth(
        "a missing value is not known to be in a list by its name", None, {"country": "$eu"}, {}, lists=LISTS
    ),
    *truth(
        "a list by its name stands under between",
        True,
        {"fit": {"between": "$range"}},
        {"fit": 3},
        lists={"range": [1, 3]},
    ),
    *truth("under eq a $ is a letter", True, {"code": {"eq": "$eu"}}, {"code": "$eu"}, lists=LISTS),
    *truth(
        "under eq a name of a list is a text", False, {"code": {"eq": "$eu"}}, {"code": "DE"}, lists=LISTS
    ),
    *truth("under ne a name of a list is a text", True, {"code": {"ne": "$eu"}}, {"code": "DE"}, lists=LISTS),
    *truth("within a list a $ is a letter", True, {"code": ["$eu"]}, {"code": "$eu"}, lists=LISTS),
    *truth("within a list by its name a $ is a letter", False, {"code": "$odd"}, {"code": "DE"}, lists=LISTS),
    *truth("in contains a $ is a letter", True, {"code": {"contains": "$E"}}, {"code": "a $eu"}, lists=LISTS),
    *truth(
        "the account may be one of a list by its name",
        True,
        {"account": "$ours"},
        {},
        lists={"ours": ["acme.com"]},
    ),
    extended(
        "lists by their names work in where and in count",
        when({"event": "hiring", "where": {"country": "$eu"}, "count": "$numbers"}, lists=LISTS),
        [hiring(day(0), country="US"), *(hiring(day(at), country="DE") for at in (1, 2, 3))],
        ("out", day(0)),
        ("in", day(1)),
        ("out", day(3)),
    ),
    *truth(
        "a condition by its name is true",
        True,
        {"condition": "fit"},
        {"employees": 9},
        conditions={"fit": {"employees": 9}},
    ),
    *truth(
        "a condition by its name is false",
        False,
        {"condition": "fit"},
        {"employees": 8},
        conditions={"fit": {"employees": 9}},
    ),
    *truth(
        "a condition by its name is unknown",
        None,
        {"condition": "fit"},
        {},
        conditions={"fit": {"employees": 9}},
    ),
    *truth(
        "a condition beside other tests is one of all",
        False,
        {"condition": "fit", "industry": "saas"},
        {"employees": 9, "industry": "oil"},
        conditions={"fit": {"employees": 9}},
    ),
    *truth(
        "a condition may name another",
        True,
        {"condition": "good"},
        {"employees": 9, "industry": "saas"},
        conditions={"good": {"condition": "fit", "industry": "saas"}, "fit": {"employees": 9}},
    ),
    extended(
        "a condition by its name moves with time",
        when({"condition": "funded"}, conditions={"funded": {"event": "funding", "within": "1d"}}),
        [funding(day(0))],
        ("in", day(0)),
        ("out", day(1)),
    ),
    extended(
        "a condition may name a segment, and stand in exit_when",
        {
            **segments(
                first={"when": {"event": "funding"}, "hold": {"exit_when": {"condition": "left"}}},
                second={"event": "hiring"},
            ),
            "conditions": {"left": {"segment": "second"}},
        },
        [funding(day(0)), hiring(day(2))],
        ("first", day(0)),
        ("second", day(2)),
    ),
]

PIECES = [
    *truth(
        "contains_any holds of one piece",
        True,
        {"name": {"contains_any": ["trust", "BANK"]}},
        {"name": "Acme Bank"},
    ),
    *truth(
        "contains_any holds of no piece",
        False,
        {"name": {"contains_any": ["trust", "BANK"]}},
        {"name": "Acme"},
    ),
    *truth(
        "contains_any folds case as contains does",
        True,
        {"name": {"contains_any": ["x", "straße"]}},
        {"name": "HAUPTSTRASSE AG"},
    ),
    *truth("contains_any of a missing text is unknown", None, {"name": {"contains_any": ["a"]}}, {}),
    *truth("contains_any of a number is unknown", None, {"fit": {"contains_any": ["1"]}}, {"fit": 1}),
    *truth("contains_any of a list is unknown", None, {"tags": {"contains_any": ["a"]}}, {"tags": ["a"]}),
    extended(
        "contains_any works in where",
        when({"event": "intent", "where": {"topic": {"contains_any": ["crm", "price"]}}}),
        [event("intent", day(0), topic="Warehouse"), event("intent", day(1), topic="Sales CRM tools")],
        ("out", day(0)),
        ("in", day(1)),
    ),
]
