"""What no source should send: by name, the bytes, the reason of the refusal and the field that it names."""

from __future__ import annotations

from tests.builders import raw_event


def nested(depth: int) -> bytes:
    return raw_event(data={"x": 0}).replace(b'"x":0', b'"x":' + b"[" * depth + b"]" * depth)


BAD: dict[str, tuple[bytes | None, str, str]] = {
    "no value": (None, "not-json", ""),
    "nothing in it": (b"", "not-json", ""),
    "plain text": (b"hello", "not-json", ""),
    "half an event": (raw_event()[:-9], "not-json", ""),
    "not UTF-8": (raw_event().replace(b"acme", b"m\xfcller"), "not-json", ""),
    "UTF-16": (raw_event().decode().encode("utf-16"), "not-json", ""),
    "half a surrogate pair": (raw_event().replace(b"seed", b"\\ud800"), "not-json", ""),
    "not a number": (raw_event().replace(b'"seed"', b"NaN"), "not-json", ""),
    "a number beyond all": (raw_event().replace(b'"seed"', b"9" * 400), "not-json", ""),
    "null": (b"null", "wrong-envelope", ""),
    "a list": (b"[]", "wrong-envelope", ""),
    "an empty object": (b"{}", "wrong-envelope", "specversion"),
    "another version of CloudEvents": (raw_event(specversion="0.3"), "wrong-envelope", "specversion"),
    "no id": (raw_event(id=...), "wrong-envelope", "id"),
    "an empty id": (raw_event(id=""), "wrong-envelope", "id"),
    "a number for an id": (raw_event(id=10**18), "wrong-envelope", "id"),
    "no source": (raw_event(source=...), "wrong-envelope", "source"),
    "no subject": (raw_event(subject=None), "wrong-envelope", "subject"),
    "no time": (raw_event(time=...), "wrong-envelope", "time"),
    "a time without an offset": (raw_event(time="2024-01-01T00:00:00"), "wrong-envelope", "time"),
    "a day that never was": (raw_event(time="2024-02-30T00:00:00Z"), "wrong-envelope", "time"),
    "an unknown op": (raw_event(op="delete"), "wrong-envelope", "op"),
    "data in a list": (raw_event(data=[]), "wrong-envelope", "data"),
    "no data": (raw_event(data=...), "wrong-type", "data"),
    "an unknown kind": (raw_event(type="gtm.weather.v1"), "unknown-kind", "type"),
    "an unknown version of a kind": (raw_event(type="gtm.funding.v9"), "unknown-kind", "type"),
    "a number for a text": (raw_event(data={"round": 5}), "wrong-type", "data.round"),
    "a text for a list": (raw_event(data={"investors": "x"}), "wrong-type", "data.investors"),
    "a word outside its vocabulary": (
        raw_event(type="gtm.tech.v1", data={"change": "gone"}),
        "wrong-type",
        "data.change",
    ),
    "a host that many share": (raw_event(subject="https://github.com/acme"), "not-a-company", "subject"),
    "an address": (raw_event(subject="127.0.0.1"), "not-a-company", "subject"),
    "a single label": (raw_event(subject="localhost"), "not-a-company", "subject"),
    "a public suffix": (raw_event(subject="co.uk"), "not-a-company", "subject"),
    "a NUL in the subject": (raw_event(subject="acme\0.com"), "not-a-company", "subject"),
    "a list for a type": (raw_event(type=[]), "wrong-envelope", "type"),
    "an object for a type": (raw_event(type={"gtm": 1}), "wrong-envelope", "type"),
    "no type": (raw_event(type=...), "wrong-envelope", "type"),
    "an object for an op": (raw_event(op={}), "wrong-envelope", "op"),
    "a list for a time known": (raw_event(recordedtime=[]), "wrong-envelope", "recordedtime"),
    "an empty record": (raw_event(record=""), "wrong-envelope", "record"),
    "before all time": (raw_event(time="1969-12-31T23:59:59Z"), "absurd-time", "time"),
    "after all time": (raw_event(time="2100-01-01T00:00:00Z"), "absurd-time", "time"),
    "known after all time": (raw_event(recordedtime="9999-01-01T00:00:00Z"), "absurd-time", "recordedtime"),
    "too many bytes": (raw_event(data={"x": "y" * 262_144}), "too-large", ""),
    "a bit too deep": (nested(15), "too-deep", ""),
    "far too deep": (nested(900), "too-deep", ""),
}
