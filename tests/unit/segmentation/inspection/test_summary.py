"""What a history of moves comes to as a whole."""

import io

from rich.console import Console

from resegment.console.definition.summary import chart_width, render, sparkline
from resegment.schemas.times import parse_instant
from resegment.segmentation.inspection.summary import Move, Summary, describe_summary, summarise

DAY = 86_400_000
START = parse_instant("2026-01-01T00:00:00Z")
NAMES = ("hot", "warm", "cold")


def history(*moves: tuple[float, str, str]) -> list[Move]:
    """Moves as (day, account, to), in the order of time."""
    where: dict[str, str] = {}
    made: list[Move] = []
    for number, (day, account, to) in enumerate(moves):
        made.append(Move(START + int(day * DAY), account, number, where.get(account), to))
        where[account] = to
    return made


def shown(summary: Summary) -> str:
    output = io.StringIO()
    Console(file=output, width=100).print(render(summary))
    return output.getvalue()


def sizes(summary: Summary) -> dict[str, tuple[int, ...]]:
    return {one.name: one.sizes for one in summary.segments}


def test_sizes_are_those_at_the_end_of_each_bucket() -> None:
    moves = history((0, "a", "cold"), (0, "b", "cold"), (1, "a", "hot"), (3, "a", "cold"), (3, "b", "hot"))
    found = summarise(moves, NAMES, end=START + 4 * DAY - 1, buckets=4)
    assert sizes(found) == {"hot": (0, 1, 1, 1), "warm": (0, 0, 0, 0), "cold": (2, 1, 1, 1)}


def test_a_peak_between_the_ends_of_two_buckets_is_seen() -> None:
    moves = history(
        (0, "a", "hot"), (0.1, "b", "hot"), (0.2, "a", "cold"), (0.2, "b", "cold"), (8, "c", "cold")
    )
    hot = summarise(moves, NAMES, buckets=2).segments[0]
    assert (hot.peak, hot.size, hot.sizes) == (2, 0, (0, 0))


def test_accounts_that_change_places_at_one_instant_make_no_peak() -> None:
    moves = history((0, "a", "hot"), (0, "b", "cold"), (1, "b", "hot"), (1, "a", "cold"))
    assert summarise(moves, NAMES).segments[0].peak == 1


def test_only_stays_that_ended_have_a_length() -> None:
    moves = history((0, "a", "hot"), (2, "a", "cold"), (3, "a", "hot"), (13, "a", "cold"), (20, "b", "hot"))
    hot = summarise(moves, NAMES).segments[0]
    assert (hot.entries, hot.stays, hot.median, hot.p90) == (3, 2, 2 * DAY, 10 * DAY)


def test_flows_count_moves_and_first_placements_apart() -> None:
    moves = history((0, "a", "hot"), (0, "b", "hot"), (1, "a", "cold"), (2, "a", "hot"), (3, "a", "cold"))
    found = summarise(moves, NAMES)
    assert [(one.from_, one.to, one.count) for one in found.flows] == [
        (None, "hot", 2),
        ("hot", "cold", 2),
        ("cold", "hot", 1),
    ]
    assert (found.accounts, found.moves) == (2, 3)


def test_accounts_that_move_more_than_once_are_named_the_most_restless_first() -> None:
    moves = history(
        (0, "a", "hot"), (0, "b", "hot"), (0, "c", "hot"), (1, "a", "cold"), (1, "b", "cold"), (1, "c", "warm"),
        (2, "b", "hot"), (3, "b", "warm"), (4, "c", "hot"),
    )  # fmt: skip
    found = summarise(moves, NAMES).flapping
    assert [(one.account, one.moves, one.segment) for one in found] == [("b", 3, "warm"), ("c", 2, "hot")]
    assert dict(found[0].visited) == {"hot": 2, "cold": 1, "warm": 1}


def test_moves_after_the_end_are_counted_and_nothing_else() -> None:
    moves = history((0, "a", "hot"), (90, "a", "cold"))
    found = summarise(moves, NAMES, end=START + DAY)
    assert (found.later, found.moves, found.segments[0].size) == (1, 0, 1)


def test_the_order_in_which_moves_come_makes_no_difference() -> None:
    moves = history((0, "a", "hot"), (0, "b", "cold"), (1, "a", "cold"), (2, "b", "hot"), (5, "a", "warm"))
    assert summarise(moves, NAMES) == summarise(reversed(moves), NAMES)


def test_a_history_of_nothing_and_one_of_an_instant_can_be_shown() -> None:
    for moves in ([], history((0, "a", "hot"))):
        found = summarise(moves, NAMES)
        assert describe_summary(found)["accounts"] == len(moves)
        assert shown(found)


def test_a_chart_is_as_high_as_its_greatest_size_and_dots_where_nobody_is() -> None:
    assert sparkline((0, 1, 4, 8, 0)).plain == "·▁▄█·"


def test_the_tables_fit_into_a_hundred_columns() -> None:
    names = ("a-segment-with-a-name-far-too-long-to-be-read", "cold")
    moves = [
        Move(
            START + day * DAY,
            f"account-{day % 7}.example",
            day,
            None if day < 7 else names[1 - day % 2],
            names[day % 2],
        )
        for day in range(400)
    ]
    text = shown(summarise(moves, names, buckets=chart_width(100, names)))
    assert max(map(len, text.splitlines())) <= 100
    assert "Moves between segments" in text
