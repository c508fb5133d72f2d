"""What the commands on dead letters and files of events decide, without servers."""

import pytest

from resegment.agents.batch import PublishFailed, RecordedMessage
from resegment.cli.operations.dead_letters import CutOff, NoSuchDeadLetter, NoSuchReason, choose
from resegment.cli.runtime.ingest import IngestStopped, counting_acknowledged, has_failed
from resegment.streams.operations.dead_letters import DeadLetter


def letter(
    name: str, reason: str = "not-json", *, retried: str | None = None, cut: bool = False
) -> DeadLetter:
    about = {"reason": reason, "topic": "t", **({"truncated": "2000000"} if cut else {})}
    return DeadLetter(name, about, b"{}", 0, RecordedMessage(0, 0, None, b"{}"), retried=retried)


HELD = {
    one.id: one
    for one in (
        letter("t:0:1"),
        letter("t:0:2", retried="2026-01-01T00:00:00Z"),
        letter("t:0:3", cut=True),
        letter("t:0:4", "not-a-company"),
    )
}


def test_a_reason_chooses_what_is_whole_and_was_not_sent_again() -> None:
    assert [one.id for one in choose(HELD, [], "not-json")] == ["t:0:1"]


def test_an_id_chooses_what_was_sent_again_before_too() -> None:
    assert [one.id for one in choose(HELD, ["t:0:2", "t:0:4"], None)] == ["t:0:2", "t:0:4"]


def test_a_reason_that_no_dead_letter_has_is_an_error_that_names_those_in_use() -> None:
    with pytest.raises(NoSuchReason) as caught:
        choose(HELD, [], "nosuch")
    assert caught.value.remedy == "Reasons in use: not-a-company, not-json."


def test_an_id_that_is_not_there_or_was_cut_is_an_error() -> None:
    with pytest.raises(NoSuchDeadLetter):
        choose(HELD, ["t:0:9"], None)
    with pytest.raises(CutOff):
        choose(HELD, ["t:0:3"], None)


def test_an_ingest_that_kafka_stops_says_how_far_it_came_and_promises_nothing() -> None:
    shown: list[int] = []

    def send() -> None:
        with counting_acknowledged(shown.append) as note:
            note(2_000)
            note(1_000)
            raise PublishFailed(["t"], TimeoutError("no answer"))

    with pytest.raises(IngestStopped, match="stopped after 3,000 events") as caught:
        send()
    assert shown == [2_000, 1_000]
    assert "The rest was not sent" in (caught.value.remedy or "")
    assert "by itself" not in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("sent", "refused", "strict", "failed"),
    [
        (0, 5, False, True),
        (4, 1, False, False),
        (4, 1, True, True),
        (5, 0, True, False),
        (0, 0, False, False),
    ],
)
def test_an_ingest_fails_when_everything_was_refused_and_when_strict_for_a_single_event(
    sent: int, refused: int, strict: bool, failed: bool
) -> None:
    assert has_failed(sent, refused, strict=strict) is failed
