"""`resegment lint`, `resegment test` and `resegment schema`."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.documents.yaml import parse_document
from resegment.schemas.fact import KINDS
from tests.oracle.generate import generate

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), list(arguments))
    return result.exit_code, result.stdout, result.stderr


def schema_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("schema", name)[1])
    return found


def example(file: Path = EXAMPLES / "quickstart.yaml") -> dict[str, Any]:
    data: dict[str, Any] = parse_document(file.read_bytes(), file.name).data
    return data


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = schema_of("segments")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


# lint and test


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_examples_are_free_of_errors_and_pass_their_tests(file: Path) -> None:
    assert run("lint", str(file), "--strict")[0] == 0
    code, output, _ = run("test", str(file))
    assert code == 0
    assert "0 failed" in output


def test_lint_refuses_aliases_that_nest_too_deep_and_shows_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    nest = 40  # fewer than are allowed: it is the aliases that nest deeper, here to 2,000 levels
    levels = ["l0: &l0 [x]", *(f"l{n}: &l{n} {'[' * nest}*l{n - 1}{']' * nest}" for n in range(1, 50))]
    file.write_text("\n".join(levels))
    code, output, _ = run("lint", str(file))
    assert code == 2
    assert f"{file}:3:" in output
    assert "nested deeper than 48 levels [too-deep]" in output


def test_lint_refuses_a_suppression_list_that_a_worker_could_not_load(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    text = (EXAMPLES / "quickstart.yaml").read_text()
    file.write_text(text + "\nsuppression:\n  - name: partners\n    file: partners.txt\n")
    code, output, error = run("lint", str(file))
    assert code == 2
    assert "suppression[0].file" in output
    assert "no such file or folder" in output
    assert error == "1 error, 0 warnings\n"

    (tmp_path / "partners.txt").write_text("acme.com\n")
    assert run("lint", str(file))[0] == 0

    (tmp_path / "partners.txt").write_text("acme.com\nsecret words\n")
    code, output, error = run("lint", str(file))
    assert "partners.txt: 1 line names no company and is skipped: 2 [skipped-lines]" in output
    assert "secret" not in output + error
    assert "0 errors, 1 warning" in error


def test_lint_prints_each_error_with_its_place_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    file.write_text((EXAMPLES / "quickstart.yaml").read_text().replace("{gte: 50}", "{contains: x}"))
    code, output, error = run("lint", str(file))
    assert code == 2
    assert f"{file}:" in output
    assert ": error: segments[1].when.all[1].employees" in output
    assert output.rstrip().endswith("]")
    assert error == "1 error, 0 warnings\n"
    (found,) = [json.loads(line) for line in run("lint", str(file), "--json")[1].splitlines()]
    assert (found["file"], found["severity"]) == (str(file), "error")
    assert found["line"] == 1 + file.read_text().partition("contains")[0].count("\n")


def test_warnings_fail_only_when_strict(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    text = (EXAMPLES / "quickstart.yaml").read_text()
    file.write_text(
        text.replace(
            "    hypothesis: A company that just started hiring has a plan and a budget for it.\n", ""
        )
    )
    assert run("lint", str(file))[0] == 0
    assert run("lint", str(file), "--strict")[0] == 1


def test_errors_hide_no_warnings_and_strict_makes_them_no_milder(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    text = (EXAMPLES / "quickstart.yaml").read_text().replace("{gte: 50}", "{contains: x}")
    file.write_text(
        text.replace(
            "    hypothesis: A company that just started hiring has a plan and a budget for it.\n", ""
        )
    )
    code, _, error = run("lint", str(file), "--strict")
    assert (code, error) == (2, "1 error, 1 warning\n")
    found = [json.loads(line) for line in run("lint", str(file), "--json")[1].splitlines()]
    assert [one["code"] for one in found] == ["no-hypothesis", "never-matches"]


def test_a_folder_with_a_broken_file_is_told_of_the_errors_in_the_others_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        (EXAMPLES / "quickstart.yaml").read_text().replace("gte: 50", "gt_e: 50")
    )
    (tmp_path / "b.yaml").write_text("plays: [")
    code, output, _ = run("lint", str(tmp_path))
    assert code == 2
    assert "[unknown-operator]" in output
    assert "[not-yaml]" in output


def test_given_events_lint_warns_of_attributes_that_nobody_has(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    head = "id,source,type,subject,time,data.status,data.employees\n"
    row = "1,/x,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,active,{}\n"
    for cell, warned in (("", True), ("7", False)):
        events.write_text(head + row.format(cell))
        output = run("lint", str(EXAMPLES / "quickstart.yaml"), "--events", str(events))[1]
        assert ("employees" in output) is warned


def test_a_missing_file_ends_with_2(tmp_path: Path) -> None:
    for command in ("lint", "test"):
        code, _, error = run(command, str(tmp_path / "nothing.yaml"))
        assert code == 2
        assert "nothing.yaml" in error


def test_a_failed_test_is_told_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    file.write_text(
        (EXAMPLES / "quickstart.yaml").read_text().replace("expect: established", "expect: hiring-now")
    )
    code, output, _ = run("test", str(file))
    assert code == 1
    assert "expected hiring-now, got established" in output
    assert "1 failed" in output
    results = [json.loads(line) for line in run("test", str(file), "--json")[1].splitlines()]
    assert [one["passed"] for one in results].count(False) == 1


# schema


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_examples_are_valid_by_the_schema(file: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert not [error.message for error in validator.iter_errors(example(file))]


def test_generated_files_of_the_whole_language_are_valid_by_the_schema(
    validator: jsonschema.Draft202012Validator,
) -> None:
    for seed in range(30):
        file = generate(seed, extended=True).file
        assert not [error.message for error in validator.iter_errors(file)], seed


VALID = [
    {"employees": 50},
    {"employees": {"gte": 50, "lt": 100}},
    {"industry": ["saas", 7]},
    {"nps": {"between": [1, 2]}, "plan": "free"},
    {"technologies": {"has_any": ["dbt"]}},
    {
        "event": "hiring",
        "where": {"remote": True, "team": "a"},
        "ago": ["0d", "30d"],
        "count": {"gte": 2},
        "employees": 5,
    },
    {"sequence": [{"event": "funding"}, {"event": "hiring"}], "within": "90d", "gap": "30d"},
    {"not": {"any": [{"segment": "established"}]}},
    {"renewal_date": {"after": "2026-01-01", "within_next": "30d"}},
    {"employees": {"gte": 5, "known_within": "90d"}},
    {"account": ["acme.com", "beta.com"]},
    {"name": {"contains_any": ["bank", "trust"]}},
    {"open": "hiring", "where": {"function": "sales"}, "count": {"gte": 2}},
    {"open": "engagement", "by": "thread"},
    {"event": "engagement", "not_followed_by": {"event": "outcome", "where": {"action": "won"}}},
    {"sequence": [{"event": "funding"}, {"event": "hiring"}], "within": "90d", "order": "loose"},
]
INVALID = [
    {},
    [],
    {"all": []},
    {"all": {"employees": 5}},
    {"employees": {"gte": "50"}},
    {"employees": {"contains": "x"}},
    {"employees": {"more_than": 5}},
    {"employees": "many"},
    {"industry": 5},
    {"technologies": "dbt"},
    {"nps": {"between": [1]}},
    {"nps": {}},
    {"nps": []},
    {"event": "party"},
    {"event": "hiring", "within": "90 days"},
    {"event": "hiring", "within": "0d"},
    {"event": "hiring", "ago": ["30d"]},
    {"event": "hiring", "where": {"remote": "yes"}},
    {"event": "hiring", "where": {"title": {"gte": 5}}},
    {"event": "hiring", "gap": "5d"},
    {"where": {"remote": True}},
    {"within": "5d", "employees": 5},
    {"sequence": [{"event": "hiring"}]},
    {"sequence": [{"event": "hiring", "within": "5d"}], "within": "5d"},
    {"sequence": [{"event": "hiring"}], "within": "5d", "event": "hiring"},
    {"event": "outcome", "where": {"opened_at": {"within_next": "5d"}}},
    {"event": "outcome", "where": {"opened_at": {"exists": True, "known_within": "5d"}}},
    {"open": "hiring", "within": "5d"},
    {"open": "hiring", "event": "hiring"},
    {"event": "hiring", "by": "job"},
    {"event": "hiring", "order": "loose"},
    {"event": "hiring", "not_followed_by": {"event": "outcome", "within": "5d"}},
    {"sequence": [{"event": "hiring"}], "within": "5d", "order": "free"},
    {"account": {"gte": 5}},
    {"name": {"contains_any": [5]}},
]


@pytest.mark.parametrize("condition", VALID, ids=str)
def test_the_schema_takes_what_the_language_takes(
    condition: Any, validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    file = {**example(), "tests": []}
    file["segments"][0]["when"] = condition
    assert validator.is_valid(file)
    assert lint_is_fine(file, tmp_path)


@pytest.mark.parametrize("condition", INVALID, ids=str)
def test_the_schema_refuses_what_the_language_refuses(
    condition: Any, validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    file = {**example(), "tests": []}
    file["segments"][0]["when"] = condition
    assert not validator.is_valid(file)
    assert not lint_is_fine(file, tmp_path)


@pytest.mark.parametrize(
    ("trait", "valid"),
    [
        ({"count": "hiring", "within": "60d"}, True),
        ({"sum": "funding", "field": "amount_usd"}, True),
        ({"decay": "intent", "half_life": "7d"}, True),
        ({"ratio": ["revenue_usd", "employees"]}, True),
        ({"growth": "employees", "over": "180d"}, True),
        ({"open": "hiring"}, True),
        ({"latest": "funding", "field": "time"}, True),
        ({"count": "hiring", "not_followed_by": {"event": "outcome"}}, True),
        ({"score": [{"when": {"employees": 5}, "points": 10}]}, True),
        ({"score": []}, False),
        ({"score": [{"when": {"employees": 5}}]}, False),
        ({"open": "hiring", "within": "5d"}, False),
        ({"sum": "funding"}, False),
        ({"count": "hiring", "field": "title"}, False),
        ({"decay": "intent"}, False),
        ({"ratio": ["revenue_usd"]}, False),
        ({"growth": "industry", "over": "180d"}, False),
        ({"growth": "employees"}, False),
        ({"count": "hiring", "sum": "hiring"}, False),
        ({"median": "hiring"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_the_schema_knows_the_traits(
    trait: Any, valid: bool, validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    file = {**example(), "traits": {"mine": trait}}
    assert validator.is_valid(file) is valid
    assert lint_is_fine(file, tmp_path) is valid


@pytest.mark.parametrize(
    "change",
    [
        {"segment": []},
        {"version": 2},
        {"segments": []},
        {"fallback": {"play": "stay-in-touch"}},
        {"traits": {"employees": {"count": "hiring"}}},
        {"traits": {"within": {"count": "hiring"}}},
        {"retain": "soon"},
        {"plays": {"grow-the-team": {"message": {"pain": "a"}}}},
    ],
    ids=str,
)
def test_the_schema_refuses_other_typical_errors(
    change: dict[str, Any], validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    file = {**example(), **change}
    assert not validator.is_valid(file)
    assert not lint_is_fine(file, tmp_path)


def lint_is_fine(file: dict[str, Any], folder: Path) -> bool:
    """Whether the file, as JSON, which is YAML, has no error."""
    path = folder / "segments.yaml"
    path.write_text(json.dumps(file))
    return run("lint", str(path))[0] == 0


@pytest.mark.parametrize(
    "name", ["condition", "trait_decay", "Route", "SegmentEntry", "HoldTimes", "Channels"]
)
def test_every_key_that_an_editor_can_complete_is_described(name: str) -> None:
    definitions = schema_of("segments")["$defs"]
    for key, one in definitions[name]["properties"].items():
        referred = definitions[one["$ref"].rpartition("/")[2]] if "$ref" in one else {}
        assert one.get("description") or referred.get("description") or key == "description"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_schema_that_takes_its_events_and_no_others(kind: str) -> None:
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/x",
        "type": f"gtm.{kind}.v1",
        "subject": "acme.com",
        "time": "2026-01-02T00:00:00Z",
        "data": {"custom": 1},
    }
    assert validator.is_valid(event)
    assert validator.is_valid({**{key: event[key] for key in event if key != "data"}, "op": "retract"})
    assert not validator.is_valid({key: event[key] for key in event if key != "data"})
    assert not validator.is_valid({**event, "type": "gtm.other.v1"})
    assert not validator.is_valid({key: event[key] for key in event if key != "subject"})
    first = next(iter(schema["$defs"]["Data"]["properties"]))
    assert not validator.is_valid({**event, "data": {first: {"a": 1}}})


def test_schema_lists_what_there_is_and_refuses_the_rest() -> None:
    assert {"segments", "change", "command", "asyncapi", *KINDS} < set(run("schema")[1].split())
    assert run("schema", "party")[0] == 2
