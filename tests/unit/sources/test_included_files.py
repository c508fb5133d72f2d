"""`include`: a definition in several files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resegment.documents.diagnostics import InvalidSegments
from resegment.segmentation.definition import Definition, read_definition
from resegment.sources.segments import load_definition, read_segments_files

WHOLE = """\
version: 1
segments:
  - {name: a, when: {employees: {gte: 9}}, play: p, route: {workflow: w-a}}
  - {name: b, when: {employees: {gte: 5}}, play: p, route: {workflow: w-b}}
  - {name: c, when: {employees: {gte: 1}}, play: p, route: {workflow: w-c}}
fallback: {name: z, play: p}
plays:
  p:
    message: {pain: x, value_prop: y, proof_points: [z]}
    channels: {primary: email}
"""


def write(folder: Path, **files: str) -> str:
    """Write the files (`a__b` is a/b.yaml); return the path of `main`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder / "main.yaml")


def segment(name: str, least: int) -> str:
    return f"  - {{name: {name}, when: {{employees: {{gte: {least}}}}}, play: p, route: {{workflow: w-{name}}}}}\n"


PLAYS = WHOLE[WHOLE.index("plays:") :]
FALLBACK = "fallback: {name: z, play: p}\n"


def names(definition: Definition) -> list[str]:
    return [one.name for one in definition.segments]


def test_a_definition_in_several_files_is_that_of_one_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=f"version: 1\ninclude: [hot/a.yaml, plays.yaml]\n{FALLBACK}segments:\n{segment('c', 1)}",
        hot__a=f"include: [deeper/*.yaml]\nsegments:\n{segment('b', 5)}",
        hot__deeper__first=f"segments:\n{segment('a', 9)}",
        plays=PLAYS,
    )
    whole = read_definition([("segments.yaml", WHOLE)])

    definition = load_definition(path)

    assert names(definition) == ["a", "b", "c", "z"]
    assert (definition.version, definition.digest) == (whole.version, whole.digest)


def test_included_files_come_first_in_the_order_of_the_list_and_each_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main="include: [x/*.yaml, b.yaml, ./b.yaml]\n",
        b="include: [x/2.yaml]\n",
        x__2="retain: 3d\n",
        x__10="include: [../x/2.yaml]\n",
    )
    found = [str(Path(name).relative_to(tmp_path)) for name, _ in read_segments_files(path)]
    assert found == ["x/2.yaml", "x/10.yaml", "b.yaml", "main.yaml"]


def test_the_content_of_a_definition_has_every_file_that_was_read(tmp_path: Path) -> None:
    path = write(
        tmp_path, main=f"version: 1\ninclude: [rest.yaml]\n{FALLBACK}", rest=WHOLE[11:].replace(FALLBACK, "")
    )
    definition = load_definition(path)
    assert [Path(name).name for name, _ in definition.content.segments] == ["rest.yaml", "main.yaml"]
    assert read_definition(definition.content.segments).digest == definition.digest


def test_a_folder_may_hold_files_that_include_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        b=f"version: 1\ninclude: [a.yaml, more/plays.yaml]\n{FALLBACK}",
        a=f"segments:\n{segment('a', 9)}",
        c=f"segments:\n{segment('c', 1)}",
        more__plays=PLAYS,
    )
    assert names(load_definition(str(tmp_path))) == ["a", "c", "z"]


def test_an_error_in_an_included_file_is_located_there(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=f"version: 1\ninclude: [plays.yaml, deep/s.yaml]\n{FALLBACK}",
        deep__s=f"segments:\n{segment('a', 9)}{segment('b', 5).replace('play: p', 'play: q')}",
        plays=PLAYS,
    )
    with pytest.raises(InvalidSegments) as caught:
        load_definition(path)
    (one,) = caught.value.diagnostics
    assert one.code == "unknown-play"
    assert str(one.place).startswith(f"{tmp_path}/deep/s.yaml:3:")


def refusal(path: str) -> str:
    with pytest.raises(InvalidSegments) as caught:
        load_definition(path)
    assert {one.code for one in caught.value.diagnostics} == {"wrong-include"}
    return str(caught.value)


@pytest.mark.parametrize(
    ("included", "told"),
    [
        ("none.yaml", "no such file"),
        ("none/*.yaml", "matches no *.yaml or *.yml file"),
        ("../outside.yaml", "is outside the folder"),
        ("../*.yaml", "is outside the folder"),
        ("inside/../../outside.yaml", "is outside the folder"),
        ("/etc/passwd", "is not a relative path"),
        ("~/x.yaml", "is not a relative path"),
        ("'a\\b.yaml'", "is not a path"),
        ('"a\\0.yaml"', "is not a path"),
        ("link.yaml", "is outside the folder"),
        ("linked/outside.yaml", "is outside the folder"),
        ("l*/*.yaml", "is outside the folder"),
        ("pipe.yaml", "not a regular file"),
        ("inside", "not a regular file"),
        ("'**x'", "is not a pattern"),
        ("main.yaml", "files include each other"),
    ],
)  # fmt: skip
def test_what_cannot_be_included_is_refused_at_its_place(tmp_path: Path, included: str, told: str) -> None:
    write(tmp_path, outside=WHOLE)
    folder = tmp_path / "folder"
    path = write(folder, main=f"version: 1\ninclude:\n  - {included}\n", inside__x="retain: 1d\n")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.yaml")

    assert f"{path}:3:5: error: include[0]: " in refusal(path)
    assert told in refusal(path)


def test_files_that_include_each_other_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, main="include: [a.yaml]\n", a="include: [b.yaml]\n", b="include: ['*.yaml']\n")
    told = refusal(path)
    assert f"{tmp_path}/b.yaml:1:11: error: include[0]: files include each other" in told
    assert f"{tmp_path}/a.yaml includes {tmp_path}/b.yaml includes {tmp_path}/a.yaml" in told


def test_every_wrong_include_is_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, main="include: [x.yaml, a.yaml, y.yaml]\n", a="include: [z.yaml]\n")
    assert refusal(path).count("no such file") == 3


def test_includes_nest_only_so_deep(tmp_path: Path) -> None:
    files = {f"f{n}": f"include: [f{n + 1}.yaml]\n" for n in range(30)}
    path = write(tmp_path, main="include: [f0.yaml]\n", **files, f30="retain: 1d\n")
    assert "more than 20 levels deep" in refusal(path)


def test_only_so_many_files_are_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resegment.documents.includes.MAX_FILES", 3)
    path = write(tmp_path, main="include: ['f*.yaml']\n", **{f"f{n}": "retain: 1d\n" for n in range(4)})
    assert "more than 3 files" in refusal(path)


def test_an_include_that_is_no_list_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, main=f"include: a.yaml\n{WHOLE}")
    with pytest.raises(InvalidSegments, match="include: expected a list"):
        load_definition(path)


def test_a_file_behind_the_links_of_a_config_map_is_included(tmp_path: Path) -> None:
    write(
        tmp_path / "..2026",
        main=f"version: 1\ninclude: [rest.yaml]\n{FALLBACK}",
        rest=WHOLE[11:].replace(FALLBACK, ""),
    )
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("main.yaml", "rest.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert names(load_definition(str(tmp_path / "main.yaml"))) == ["a", "b", "c", "z"]
