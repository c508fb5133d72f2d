"""Read everything that a prefix keeps, decoded as far as its keys allow, and look for words in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.record import MemoryRecords
from redis.asyncio import Redis

from resegment.agents.batch import RecordedMessage
from resegment.agents.deciding.merging import is_step
from resegment.embedded.journal.entries import TopicMade
from resegment.embedded.journal.files import batches_of, find_files, mapped, read_file
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.identities.steps import decode_step, unpack_facts
from resegment.streams.kafka.topic_reader import TopicUnreadable
from resegment.streams.recovery.replay import LogSource
from resegment.streams.sealing.keys import ProcessKeys

Text = tuple[str, bytes]
"""A place, and bytes that are there."""


def places_of(texts: Sequence[Text], word: str) -> set[str]:
    """Return the places in which a word is, however it is spelled in capitals."""
    wanted = word.casefold().encode()
    return {place for place, text in texts if wanted in text.lower()}


async def read_topics(source: LogSource, keys: ProcessKeys) -> list[Text]:
    """Return all records of a log or an archive: as they are, and opened where the keys are still there."""
    found: list[Text] = []
    topics, kept = source.topics, "" if source.archive is None else "archived "
    for topic in topics:
        try:
            async with source.reading(topic.name) as reader:
                async for records in reader.to_end():
                    found += await _texts_of(kept, topic.name, records, keys)
        except TopicUnreadable as error:
            if not error.is_missing:
                raise
    return found


async def _texts_of(kept: str, topic: str, records: Sequence[Any], keys: ProcessKeys) -> list[Text]:
    opened = await keys.record_opener().open(records)
    found = [(kept + topic, _bytes_of(record)) for record in (*records, *opened)]
    if topic.endswith("signals"):
        found += [(kept + topic, encode_fact(one)) async for one in _open_facts(records, keys)]
    return found


def _bytes_of(record: Any) -> bytes:
    headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
    return b"\0".join([record.key or b"", record.value or b"", *headers])


async def _open_facts(records: Sequence[Any], keys: ProcessKeys) -> AsyncIterator[Fact]:
    facts: list[Fact] = []
    for record in records:
        try:
            if record.key is None and is_step(record):
                facts += unpack_facts(decode_step(record.value or b"").facts)
            elif record.key is not None:
                facts.append(decode_fact(record.value or b""))
        except msgspec.DecodeError:
            continue
    if keys.facts is not None:
        opener = await keys.facts.opener(facts)
        for one in facts:
            if (opened := opener(one)) is not None:
                yield opened


async def read_redis(client: Redis, prefix: str) -> list[Text]:
    """Return what every key of a prefix has, as it lies there."""
    found: list[Text] = []
    async for key in client.scan_iter(match=f"*{prefix}*", count=1000):
        kind = (await client.type(key)).decode()
        value: Any
        if kind == "hash":
            value = [part for pair in (await client.hgetall(key)).items() for part in pair]  # type: ignore[misc]
        elif kind == "zset":
            value = await client.zrange(key, 0, -1)
        elif kind == "set":
            value = list(await client.smembers(key))  # type: ignore[misc]
        elif kind == "stream":
            value = [part for _, fields in await client.xrange(key) for part in fields.values()]
        elif kind == "list":
            value = await client.lrange(key, 0, -1)  # type: ignore[misc]
        else:
            value = [await client.get(key) or b""]
        found.append((f"redis {key.decode().rpartition(':')[2]}", b"\0".join([key, *value])))
    return found


async def read_snapshot(client: Redis) -> list[Text]:
    """Return the file that Redis writes when it saves, not compressed."""
    settings = await client.config_get("dir", "dbfilename", "rdbcompression")
    await client.config_set("rdbcompression", "no")
    try:
        await client.save()
        path = Path(_text(settings["dir"])) / _text(settings["dbfilename"])
        return [("snapshot", path.read_bytes())]
    finally:
        await client.config_set("rdbcompression", _text(settings["rdbcompression"]))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def read_journal(folder: Path, keys: ProcessKeys) -> list[Text]:
    """Return the records in the files of an embedded log, as `read_topics` does."""
    found: list[Text] = []
    names: dict[int, str] = {}
    files = find_files(folder)
    for place, file in enumerate(files):
        contents = read_file(file.path, is_last=place == len(files) - 1)
        names |= {one.number: one.name for one in contents.entries if isinstance(one, TopicMade)}
        with mapped(file.path) as view:
            batches = [
                (names.get(at.topic, "?"), bytes(view[at.start : at.end])) for at in batches_of(contents)
            ]
        for topic, batch in batches:
            found += await _texts_of("journal of ", topic, list(_records_in(batch)), keys)
    return found


def _records_in(raw: bytes) -> Iterator[RecordedMessage]:
    batches = MemoryRecords(raw)
    while (batch := batches.next_batch()) is not None:
        for one in batch:
            headers = [(name, value or b"") for name, value in one.headers]
            yield RecordedMessage(one.offset, one.timestamp, one.key, one.value, headers)


def read_files(folder: Path) -> list[Text]:
    """Return the cells of Parquet files."""
    import polars as pl  # noqa: PLC0415  # only where there is one

    found: list[Text] = []
    for path in sorted(folder.rglob("*.parquet")):
        rows = pl.read_parquet(path).iter_rows()
        found += [("parquet files", b"\0".join(map(_cell, row))) for row in rows]
    return found


def _cell(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def read_tables(path: Path) -> list[Text]:
    """Return the rows of all tables of a DuckDB file."""
    import duckdb  # noqa: PLC0415  # only where there is one

    found: list[Text] = []
    with duckdb.connect(str(path), read_only=True) as database:
        for (table,) in database.execute("select table_name from information_schema.tables").fetchall():
            rows = database.execute(f'select * from "{table}"').fetchall()  # its own names
            found += [(f"table {table}", repr(row).encode()) for row in rows]
    return found
