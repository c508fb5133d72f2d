"""What a worker logs and counts of its batches."""

from collections.abc import Sequence

from structlog.testing import capture_logs

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.intake import IntakeRules, ingest
from resegment.metrics import Metrics
from resegment.streams.worker.progress import Progress
from tests.builders import raw_event


class Published:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


async def test_a_refused_record_is_logged_with_its_topic_partition_and_offset() -> None:
    metrics = Metrics()
    batch = Batch(
        "p.triggers.funding", 3, [RecordedMessage(41, 0, None, b"{"), RecordedMessage(42, 0, None, b"no")]
    )
    done = await ingest(
        batch,
        IntakeRules("wall", lambda: 0),
        publisher=Published(),
        signals="p.signals",
        dead_letters="p.dead-letters",
    )
    with capture_logs() as lines:
        Progress(metrics, None).count_batch("intake", batch, done.accepted, done.refused)
    assert [(one["topic"], one["partition"], one["offset"]) for one in lines] == [
        ("p.triggers.funding", 3, 41),
        ("p.triggers.funding", 3, 42),
    ]
    assert {one["reason"] for one in lines} == {"not-json"}


async def test_an_action_that_the_contract_does_not_list_is_counted_and_warned_of_once() -> None:
    metrics = Metrics()
    actions = [
        "leave_me_alone",
        "leave_me_alone",
        "unsubscribed",
        "Spam Complaint",
        "page_view",
        "pricing_page",
    ]
    kinds = ["outcome", "outcome", "engagement", "outcome", "engagement", "engagement"]
    events = [
        raw_event(type=f"gtm.{kind}.v1", id=str(number), data={"action": action})
        for number, (kind, action) in enumerate(zip(kinds, actions, strict=True))
    ]
    batch = Batch("p.replay", 3, [RecordedMessage(n, 0, None, one) for n, one in enumerate(events)])
    done = await ingest(
        batch,
        IntakeRules("facts", lambda: 2_000_000_000_000),
        publisher=Published(),
        signals="p.signals",
        dead_letters="p.dead-letters",
    )
    progress = Progress(metrics, None)
    with capture_logs() as lines:
        progress.count_unlisted(done.unlisted)
        progress.count_unlisted(done.unlisted)
    assert [(one["kind"], one["action"]) for one in lines] == [
        ("outcome", "leave_me_alone"),
        ("engagement", "pricing_page"),
    ]
    counted = metrics.registry.get_sample_value
    assert counted("resegment_unlisted_actions_total", {"kind": "outcome"}) == 4
    assert counted("resegment_unlisted_actions_total", {"kind": "engagement"}) == 2


def test_how_long_the_oldest_record_was_on_its_way_is_measured_with_its_place_as_exemplar() -> None:
    metrics = Metrics()
    records = [RecordedMessage(41, 5_000, None, b""), RecordedMessage(42, 7_000, None, b"")]
    Progress(metrics, lambda: 8_000).count_batch("segmenter", Batch("p.signals", 3, records), 0, ())
    assert metrics.registry.get_sample_value("resegment_stage_delay_seconds_sum", {"stage": "segmenter"}) == 3
    (exemplar,) = [
        sample.exemplar
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.exemplar
    ]
    assert (exemplar.labels, exemplar.value) == ({"partition": "3", "offset": "41"}, 3)


def test_on_the_clock_of_the_facts_and_without_a_timestamp_nothing_is_late() -> None:
    metrics = Metrics()
    Progress(metrics, None).count_batch("s", Batch("t", 0, [RecordedMessage(1, 5, None, b"")]), 0, ())
    Progress(metrics, lambda: 9).count_batch("s", Batch("t", 0, [RecordedMessage(1, -1, None, b"")]), 0, ())
    assert metrics.registry.get_sample_value("resegment_stage_delay_seconds_count", {"stage": "s"}) is None
