"""Tell what the broker would refuse, or could not give back at the next start: that never gets into the journal."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from aiokafka.record.util import calc_crc32c

from resegment.embedded.gateway.wire import Produced
from resegment.embedded.journal.catalog import OWN_PARTITIONS

CORRUPT_MESSAGE: Final = 2
UNKNOWN_PARTITION: Final = 3
INVALID_TOPIC: Final = 17
UNSUPPORTED_COMPRESSION: Final = 76
INVALID_RECORD: Final = 87

PartitionsOf = Callable[[str], int | None]
"""Returns how many partitions a topic has; None where there is no such topic."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_CHECKSUM: Final = struct.Struct(">I")
_CHECKSUM_AT: Final = 17
_CHECKED: Final = 21
"""Where that begins of which the checksum is."""
_FIELDS: Final = struct.Struct(">hiqqqhii")
"""Attributes, last offset, both times, producer id and epoch, first sequence number, count of records."""
_NOT_OF_PRODUCERS: Final = 0x30
"""Bits of batches that belong to a transaction or mark its end."""
_CODEC: Final = 0x07
_CODECS: Final = 4


def find_refusal(produced: Produced, partitions_of: PartitionsOf) -> int:
    """Return the error code with which a produce request is refused; 0 if it is not."""
    for one in produced.appended:
        partitions = partitions_of(one.topic)
        if partitions is None:
            if not _NAME.fullmatch(one.topic) or one.topic in {".", ".."}:
                return INVALID_TOPIC
            partitions = OWN_PARTITIONS
        if not 0 <= one.partition < partitions:
            return UNKNOWN_PARTITION
        if not one.batches:
            return INVALID_RECORD
        for batch in one.batches:
            if error := _find_fault(batch):
                return error
    return 0


def _find_fault(batch: bytes) -> int:
    attributes, last, _, _, producer, _, _, count = _FIELDS.unpack_from(batch, _CHECKED)
    if calc_crc32c(batch[_CHECKED:]) != _CHECKSUM.unpack_from(batch, _CHECKSUM_AT)[0]:
        return CORRUPT_MESSAGE
    if attributes & _NOT_OF_PRODUCERS or producer != -1 or count < 1 or last != count - 1:
        return INVALID_RECORD
    return UNSUPPORTED_COMPRESSION if attributes & _CODEC > _CODECS else 0
