"""A plan on a terminal, in Markdown and as HTML: the same numbers, and nothing that a file says becomes markup."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from rich.console import RenderableType

from resegment.console.planning.markdown import render_markdown
from resegment.console.planning.page import render_html
from resegment.console.planning.sankey import draw_sankey
from resegment.console.planning.terminal_view import render
from resegment.console.planning.words import headline, subtitle
from resegment.console.terminal import Terminal
from resegment.segmentation.planning.plan import (
    Difference,
    DueMoves,
    EnrollmentForecast,
    Folding,
    Move,
    Overlap,
    Plan,
    PlannedFlow,
    Sample,
    SegmentSize,
    ShadowedSegment,
    UnjudgedTest,
    VersionName,
)

HOSTILE = '<script>alert("1")</script>|`*_[x](javascript:1)&\x1b[31m@all'


def plan_of(name: str = "hot", account: str = "acme.com") -> Plan:
    return Plan(
        hash="0123456789ab-1234",
        at="2026-11-26T17:00:00Z",
        base=VersionName(number=3, fingerprint="aaaa"),
        target=VersionName(number=None, fingerprint="bbbb"),
        changes="segments",
        differences=(
            Difference(
                part="segment",
                name=name,
                what=("condition-changed",),
                words=(f"employees at least 50 → 100 {name}",),
                before="employees >= 50",
                after=f"employees >= 100 {name}",
            ),
            Difference(part="segment", name="cold", what=("unchanged",)),
        ),
        accounts=50_000,
        judged=50_000,
        moved=1_234,
        sizes=(
            SegmentSize(name=name, before=2_000, after=766),
            SegmentSize(name="warm", before=0, after=1_234),
        ),
        flows=(
            PlannedFlow(
                from_=name,
                to="warm",
                accounts=1_234,
                samples=(Sample(account=account, before=f"{name}, because x", after="warm, because y"),),
            ),
        ),
        overlaps=(Overlap(segment=name, also="warm", accounts=77),),
        shadowed=(ShadowedSegment(segment="cool", qualify=5, taken_by={name: 5}),),
        unjudged=(UnjudgedTest(segment=name, test=f"revenue_usd >= 1 {name}", accounts=4_321),),
        enrollments=(
            EnrollmentForecast(route="none", stop={name: 12}),
            EnrollmentForecast(route="all", enroll={"w": 8}, stop={name: 12}),
        ),
        folding=Folding(needs=("revenue_usd of accounts",), records=1_000_000, seconds=61.0),
        due=(DueMoves(within="1h", accounts=0), DueMoves(within="24h", accounts=9)),
        warnings=(f"{name} takes no account",),
        moves=(Move(account, name, "warm"),),
    )


def on_terminal(view: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Terminal(file=out, width=width, markup=False, highlight=False, emoji=False).print(view)
    return out.getvalue()


class Reader(HTMLParser):
    """Collects the tags and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


NUMBERS = ("1,234", "2,000", "766", "-1,234", "77", "4,321", "1,000,000", "61 s", "0123456789ab-1234")


def test_all_three_views_have_the_same_numbers() -> None:
    plan = plan_of()
    page = " ".join(Reader(render_html(plan)).texts)
    for view in (on_terminal(render(plan)), render_markdown(plan), page):
        missing = [one for one in NUMBERS if one not in view]
        assert not missing


def test_a_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    tags = Reader(render_html(plan_of())).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "base", "form"}
    given = {name for _, attributes in tags for name in attributes}
    assert not {one for one in given if one.startswith("on")} | given & {"src", "href", "srcset"}
    assert "url(" not in render_html(plan_of())
    assert "@import" not in render_html(plan_of())


def test_names_and_texts_cannot_become_markup_of_a_page() -> None:
    harmless, hostile = Reader(render_html(plan_of())), Reader(render_html(plan_of(HOSTILE, HOSTILE)))
    assert [tag for tag, _ in harmless.tags] == [tag for tag, _ in hostile.tags]
    assert [sorted(given) for _, given in harmless.tags] == [sorted(given) for _, given in hostile.tags]
    assert "\x1b" not in render_html(plan_of(HOSTILE))
    assert any("<script>alert" in one for one in hostile.texts)


def test_names_and_texts_cannot_become_markup_of_markdown() -> None:
    text = render_markdown(plan_of(HOSTILE, HOSTILE))
    assert not re.search(r"(?<!\\)<(?!details>|summary>|/details>|/summary>)", text)
    assert not re.search(r"(?<!\\)\[", text)
    assert "\x1b" not in text
    assert "@all" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows if "1,234" in line and "766" in line}
    assert widths <= {5}


def test_controls_of_a_name_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in on_terminal(render(plan_of(HOSTILE, HOSTILE)))


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_counts_stand_whole_on_any_terminal(width: int) -> None:
    text = on_terminal(render(plan_of()), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "1,234" in text


def test_the_drawing_is_svg_with_a_band_for_each_flow() -> None:
    flows = [
        PlannedFlow(from_="a", to="b", accounts=900),
        PlannedFlow(from_="a", to=HOSTILE.replace("\x1b", ""), accounts=1),
        PlannedFlow(from_="c", to="b", accounts=99),
    ]
    tree = ET.fromstring(draw_sankey(flows))  # noqa: S314  # our own drawing
    bands = [one for one in tree if one.tag == "path"]
    assert len(bands) == 3
    widths = sorted(float(one.attrib["stroke-width"]) for one in bands)
    assert widths[0] == 2.0  # the smallest is still seen
    assert widths[2] > widths[1] > widths[0]
    assert len([one for one in tree if one.tag == "rect"]) == 4


def test_without_flows_there_is_no_drawing() -> None:
    assert draw_sankey([]) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ("nothing", "Nothing changes: the file means the same as the version in force."),
        ("texts", "Only texts, plays or routes differ: no account is judged again."),
        ("gates", "Only suppressions, territories or teams differ: no account moves."),
    ],
)
def test_a_plan_that_moves_nobody_says_what_differs(changes: str, text: str) -> None:
    plan = Plan(
        hash="h-0",
        at="2026-11-26T17:00:00Z",
        base=VersionName(number=3, fingerprint="aaaa"),
        target=VersionName(number=None, fingerprint="bbbb"),
        changes=changes,  # type: ignore[arg-type]
    )
    assert headline(plan) == text


@pytest.mark.parametrize(
    ("base", "target", "undone", "told"),
    [
        (2, 1, 2, "rollback from version 2 to version 1, counted at"),
        (4, 1, 2, "rollback from version 4 to version 1, which takes back versions 2 to 4, counted at"),
        (2, None, 2, "rollback from version 2 to file bbbb, counted at"),
        (3, None, None, "from version 3 to file bbbb, counted at"),
    ],
)
def test_a_rollback_says_from_which_version_to_which(
    base: int, target: int | None, undone: int | None, told: str
) -> None:
    plan = replace(
        plan_of(),
        base=VersionName(number=base, fingerprint="aaaa"),
        target=VersionName(number=target, fingerprint="bbbb"),
        rollback_of=undone,
    )
    assert subtitle(plan).startswith(told)
