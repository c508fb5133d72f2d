"""What a worker logs and counts of its batches."""

from collections.abc import Sequence

from structlog.testing import capture_logs

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.intake import IntakeRules, ingest
from resegment.metrics import Metrics
from resegment.streams.worker.progress import Progress


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
