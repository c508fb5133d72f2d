"""Whatever is given as a segments file: it is read, or refused with a place, in bounded time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.documents.diagnostics import InvalidSegments
from resegment.segmentation.analysis.lint import lint_broken
from resegment.segmentation.definition import Definition, read_definition

VALID = (Path(__file__).parents[3] / "examples" / "segments.yaml").read_bytes()
BITS = [b"{", b"}", b"[", b"]", b":", b"- ", b"&a ", b"*a", b"!!python/object", b"\t", b"\n", b"'", b'"', b"\x00", b"\xff",
        b"? ", b"|", b">", b"%YAML 9", b"---", b"...", b"1e999", b"9" * 40, b"~", b"<<: *a", b"within: 0d"]  # fmt: skip


def read(content: bytes) -> Definition | InvalidSegments:
    try:
        return read_definition([("segments.yaml", content)])
    except InvalidSegments as error:
        refused = error
    assert refused.diagnostics
    assert set(refused.diagnostics) <= set(lint_broken(refused))
    assert all(one.place.line >= 1 and one.place.column >= 1 and one.message for one in refused.diagnostics)
    return refused


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_place(content: bytes) -> None:
    assert isinstance(read(content), InvalidSegments)


@given(st.text(max_size=300))
def test_any_text_is_refused_with_a_place(text: str) -> None:
    assert isinstance(read(text.encode("utf-8", "surrogatepass")), InvalidSegments)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID)), st.sampled_from(BITS), st.integers(0, 12)),
        min_size=1,
        max_size=4,
    )
)
def test_a_good_file_that_is_spoilt_is_read_or_refused_with_a_place(
    spoilt: list[tuple[int, bytes, int]],
) -> None:
    content = VALID
    for place, bit, cut in spoilt:
        content = content[:place] + bit + content[place + cut :]
    read(content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "cp037"])
def test_another_encoding_is_refused(encoding: str) -> None:
    text = VALID.decode().replace("name:", "näme:", 1)
    assert isinstance(read(text.encode(encoding, "replace")), InvalidSegments)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert isinstance(read(b"\xef\xbb\xbf" + VALID), Definition)


def bombs() -> dict[str, bytes]:
    laughs = "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)
    )
    test = "{employees: 1}"
    return {
        "aliases that expand": f"a: &a [x, x, x, x, x, x, x, x, x]\n{laughs}".encode(),
        "an alias of itself": b"a: &a [*a]",
        "a deep flow list": b"[" * 100_000,
        "a deep flow map": b"{a: " * 100_000,
        "a deep block": b"\n".join(b" " * n + b"a:" for n in range(1_500)),
        "a million keys": b"\n".join(b"k%d: 1" % n for n in range(1_000_000)),
        "a huge number": b"version: " + b"9" * 1_000_000,
        "a huge line": b"version: " + b"x" * 1_900_000,
        "many documents": b"---\na: 1\n" * 50_000,
        "deep conditions": b"segments: [{when: " + b"{not: " * 30 + test.encode() + b"}" * 30 + b"}]",
        "many conditions": f"segments: [{{when: {{any: [{', '.join([test] * 20_000)}]}}}}]".encode(),
        "a costly regular expression": b"segments: [{when: {name: {matches: '"
        + b"(a{0,900}){0,900}" * 20
        + b"'}}}]",
    }


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_within_seconds_and_little_memory(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_bytes(bombs()[name])
    script = (
        "import sys\n"
        "from resegment.segmentation.definition import read_definition\n"
        "from resegment.documents.diagnostics import InvalidSegments\n"
        "try:\n"
        "    read_definition([('bomb.yaml', open(sys.argv[1], 'rb').read())])\n"
        "except InvalidSegments as refused:\n"
        "    assert refused.diagnostics[0].place.line >= 1\n"
        "else:\n"
        "    sys.exit('it was taken')\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = subprocess.run(  # noqa: PLW1510  # its code is looked at
        [sys.executable, "-P", "-c", script, str(file)], preexec_fn=limit, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-800:]
