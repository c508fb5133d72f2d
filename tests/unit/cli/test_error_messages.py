"""What the command line says when something is wrong, word by word: each message says what, where and how to fix it."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build

EXAMPLES = Path(__file__).parents[3] / "examples"
EVENT = (
    '{"specversion":"1.0","id":"1","source":"s","type":"gtm.hiring.v1","subject":"acme.com",'
    '"time":"2026-01-01T00:00:00Z","data":{"change":"opened","function":"sales"}}\n'
)
SERVERS = {"RESEGMENT_KAFKA": "localhost:1", "RESEGMENT_REDIS": "redis://localhost:1"}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    files = {
        "segments.yaml": (EXAMPLES / "quickstart.yaml").read_bytes(),
        "e.jsonl": EVENT.encode(),
        "x.txt": b"a",
        "latin.csv": b"subject,type\n\xff\xfe,x\n",
        "twocols.csv": b"a;b\n1;2\n",
        "al.json": b"[]",
        "al2.json": b'{"localhost":"acme.com"}',
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
    Path("empty").mkdir()


MESSAGES: list[tuple[str, dict[str, str], int, str]] = [
    (
        "backtest -s no.yaml -e e.jsonl",
        {},
        2,
        "error: no.yaml: no such file or folder Check the path: it must be a segments file, or a folder with *.yaml files.",
    ),
    (
        "backtest -s segments.yaml -e no.jsonl",
        {},
        2,
        "error: no.jsonl: no such file or folder Check the path.",
    ),
    (
        "backtest -s empty -e e.jsonl",
        {},
        2,
        "error: empty: the folder has no *.yaml or *.yml file Check the path: it must be a segments file, or a folder with *.yaml files.",
    ),
    (
        "backtest -s segments.yaml -e x.txt",
        {},
        2,
        "error: x.txt: the suffix is not a known format of events Rename it to end in one of .jsonl, .ndjson, .json, .csv, .tsv, .parquet (the text formats also with .gz), or use --format.",
    ),
    (
        "backtest -s segments.yaml -e latin.csv",
        {},
        2,
        "error: latin.csv:1: these columns are missing: id, source, time An event has id, source, type, subject, time, and its data in columns like data.employees. For another tool's file, `resegment sources guess latin.csv` says which --source fits, and prints a mapping file for --map.",
    ),
    (
        "backtest -s segments.yaml -e empty",
        {},
        2,
        "error: empty: no file in the folder has events Put files with .jsonl, .ndjson, .json, .csv, .tsv, .parquet there.",
    ),
    (
        "backtest -s segments.yaml -e twocols.csv",
        {},
        2,
        "error: twocols.csv:1: these columns are missing: id, source, type, subject, time An event has id, source, type, subject, time, and its data in columns like data.employees. For another tool's file, `resegment sources guess twocols.csv` says which --source fits, and prints a mapping file for --map.",
    ),
    (
        "backtest -s segments.yaml -e e.jsonl --at yesterday",
        {},
        2,
        "Invalid value for '--at': 'yesterday' is not a time: write a day in UTC (2026-01-31), a day and time in UTC (2026-01-31 09:00), or a time with its offset (2026-01-31T09:00:00+01:00)",
    ),
    (
        "backtest -s segments.yaml -e e.jsonl --at 2026-01-01 --accounts",
        {},
        2,
        "Invalid value: --at already means --accounts --until TIME: do not combine it with either",
    ),
    (
        "backtest -s segments.yaml -e e.jsonl -o no/x",
        {},
        2,
        "error: cannot write no/x: no such file or folder Choose a file in an existing folder that you can write to, or leave --output out.",
    ),
    (
        "backtest -s segments.yaml -e e.jsonl --format xml",
        {},
        2,
        "Invalid value for '--format': 'xml' is not one of 'jsonl', 'csv', 'parquet', 'yc'.",
    ),
    (
        "backtest -s segments.yaml -e e.jsonl --format yc",
        {},
        2,
        "error: e.jsonl: the format yc needs a folder Give the folder, like examples/yc.",
    ),
    (
        "backtest -s segments.yaml -e - --format parquet",
        {},
        2,
        "error: -: the format parquet cannot be read from standard input Use jsonl or csv.",
    ),
    (
        "explain acme.com",
        {},
        1,
        "error: no instance is running in .resegment Start one with `resegment up`, pass its folder with --folder, or set RESEGMENT_KAFKA and RESEGMENT_REDIS.",
    ),
    (
        "explain acme.com -e e.jsonl",
        {},
        2,
        "Invalid value: --events requires --segments: the file that decides the segments of those events",
    ),
    (
        "explain acme.com --format csv",
        {},
        2,
        "Invalid value: --format describes the files of --events: pass both or neither",
    ),
    (
        "explain localhost",
        {},
        2,
        "Invalid value for ACCOUNT: the subject 'localhost' is not the domain of a company: it has no dot",
    ),
    (
        "explain co.uk",
        {},
        2,
        "Invalid value for ACCOUNT: the subject 'co.uk' is not the domain of a company: it is a public suffix, under which companies register their names",
    ),
    (
        "explain g2.com",
        {},
        2,
        "Invalid value for ACCOUNT: g2.com is a host that many companies share: use the company's own domain (RESEGMENT_SHARED_HOSTS can make an exception)",
    ),
    (
        "explain 1.2.3.4",
        {},
        2,
        "Invalid value for ACCOUNT: the subject '1.2.3.4' is not the domain of a company: it is an IP address or a number",
    ),
    (
        "explain 'a b.com'",
        {},
        2,
        "Invalid value for ACCOUNT: the subject 'a b.com' is not the domain of a company: its host has characters that are not allowed in a domain name",
    ),
    (
        "explain ''",
        {},
        2,
        "Invalid value for ACCOUNT: the subject '' is not the domain of a company: it is empty",
    ),
    (
        "explain other.com -s segments.yaml -e e.jsonl",
        {},
        1,
        "error: nothing is known about other.com on Jan 1, 2026 Check the spelling; `resegment backtest --accounts` lists the accounts in the events.",
    ),
    (
        "explain acme.com -s segments.yaml -e e.jsonl --at 2020-01-01",
        {},
        1,
        "error: nothing is known about acme.com on Jan 1, 2020 Check the spelling; `resegment backtest --accounts` lists the accounts in the events.",
    ),
    (
        "explain acme.com -s segments.yaml -e e.jsonl --at 2026-13-01",
        {},
        2,
        "Invalid value for '--at': '2026-13-01' is not a time: write a day in UTC (2026-01-31), a day and time in UTC (2026-01-31 09:00), or a time with its offset (2026-01-31T09:00:00+01:00)",
    ),
    (
        "schema nope",
        {},
        2,
        "Invalid value for NAME: 'nope' is not one of funding, hiring, leadership, tech, intent, strategy, engagement, firmographic, outcome, people, change, command, touch, dead-letter, audit, refresh, stale, segments, plan, forecast, metrics, asyncapi, settings, sources",
    ),
    (
        "schema funding --write x",
        {},
        2,
        "Invalid value for --write: --write writes every contract: leave the name out",
    ),
    (
        "bench --kafka 127.0.0.1:1 --redis redis://127.0.0.1:1/0",
        {},
        1,
        "error: Redis: cannot reach it: Error 111 connecting to 127.0.0.1:1. Connect call failed ('127.0.0.1', 1). Check the URL, and that Redis is up and has free memory.",
    ),
    (
        "schema --write segments.yaml/x",
        {},
        2,
        "error: cannot write to the folder segments.yaml/x: part of its path is a file, not a folder Choose a folder that can be created and that you may write to.",
    ),
    (
        "status --folder other",
        {},
        1,
        "error: no instance is running in other Start one with `resegment up`, pass its folder with --folder, or set RESEGMENT_KAFKA and RESEGMENT_REDIS.",
    ),
    ("accounts --limit 0", {}, 2, "Invalid value for '--limit': it must be at least 1"),
    ("accounts --limit ten", {}, 2, "Invalid value for '--limit': it must be a whole number"),
    (
        "changes --since x",
        {},
        2,
        "Invalid value for '--since': 'x' is not a time: write a day in UTC (2026-01-31), a day and time in UTC (2026-01-31 09:00), or a time with its offset (2026-01-31T09:00:00+01:00)",
    ),
    ("routing enroll", {}, 2, "Invalid value: choose what to enroll: accounts, --segment or --all"),
    (
        "routing set sometimes",
        {},
        2,
        "Invalid value for 'all|changed|none': 'sometimes' is not one of 'all', 'changed', 'none'.",
    ),
    (
        "routing list --decision no",
        {},
        2,
        "Invalid value for '--decision': 'no' is not one of 'no-route', 'suppressed', 'holdout', 'quiet', 'never-again', 'cooldown', 'capped', 'held', 'waiting', 'enrolled', 'rejected'.",
    ),
    (
        "dead-letters show x --raw --json",
        {},
        2,
        "Invalid value: --raw prints the original bytes: do not combine it with --json",
    ),
    ("dead-letters retry", {}, 2, "Invalid value: pass the ids of dead letters, or a --reason or --endpoint"),
    (
        "webhooks list",
        {},
        2,
        "error: no webhook endpoints are configured: neither --webhooks nor RESEGMENT_WEBHOOKS is set Pass a file of endpoints with --webhooks; docs/webhooks.md shows what goes in it.",
    ),
    (
        "webhooks list -w no.yaml",
        {},
        2,
        "error: no.yaml:1:1: error: file: no such file or folder (Check the path.) [no-file] Fix the file that --webhooks or RESEGMENT_WEBHOOKS names.",
    ),
    (
        "worker",
        {},
        2,
        "error: RESEGMENT_KAFKA and RESEGMENT_REDIS must be set A worker needs an external Kafka and Redis; `resegment up` brings its own.",
    ),
    (
        "worker",
        {"RESEGMENT_KAFKA": "x:1"},
        2,
        "error: RESEGMENT_REDIS must be set A worker needs an external Kafka and Redis; `resegment up` brings its own.",
    ),
    (
        "up --fresh -s segments.yaml",
        {"RESEGMENT_REDIS": "redis://x"},
        2,
        "Invalid value: --fresh deletes only the data of embedded servers, and RESEGMENT_REDIS is set: use a new --prefix instead",
    ),
    (
        "status",
        {"RESEGMENT_PARTITIONS": "0"},
        2,
        "error: invalid value '0' for the setting partitions: it must be at least 1 Fix the variable RESEGMENT_PARTITIONS.",
    ),
    (
        "status",
        {"RESEGMENT_PREFIX": "a b"},
        2,
        "error: invalid value 'a b' for the setting prefix: it must be 1 to 64 letters, digits, hyphens or underscores Fix the variable RESEGMENT_PREFIX, or pass the option --prefix.",
    ),
    (
        "status",
        {"RESEGMENT_RETENTION": "week"},
        2,
        "error: invalid value 'week' for the setting retention: 'week' is not a duration: a whole number with s, m, h, d or w, like 90d Fix the variable RESEGMENT_RETENTION.",
    ),
    (
        "status",
        {"RESEGMENT_HTTP_PORT": "x"},
        2,
        "error: invalid value 'x' for the setting http_port: it must be a whole number Fix the variable RESEGMENT_HTTP_PORT.",
    ),
    (
        "status",
        {"RESEGMENT_CLOCK": "moon"},
        2,
        "error: invalid value 'moon' for the setting clock: it must be wall or facts Fix the variable RESEGMENT_CLOCK.",
    ),
    (
        "status",
        {"RESEGMENT_LOG_LEVEL": "loud"},
        2,
        "error: invalid value 'loud' for the setting log_level: it must be debug, info, warning or error Fix the variable RESEGMENT_LOG_LEVEL.",
    ),
    (
        "status",
        {"RESEGMENT_KAFKA_TLS": "maybe"},
        2,
        "error: invalid value 'maybe' for the setting kafka_tls: it must be true or false Fix the variable RESEGMENT_KAFKA_TLS.",
    ),
    (
        "status --prefix 'a b'",
        {},
        2,
        "error: invalid value 'a b' for the setting prefix: it must be 1 to 64 letters, digits, hyphens or underscores Fix the option --prefix.",
    ),
    (
        "ingest e.jsonl",
        {**SERVERS, "RESEGMENT_ALIASES": "al.json"},
        2,
        'error: al.json: not an object of strings Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
    ),
    (
        "ingest e.jsonl",
        {**SERVERS, "RESEGMENT_ALIASES": "al2.json"},
        2,
        'error: al2.json: the subject \'localhost\' is not the domain of a company: it has no dot Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
    ),
    (
        "ingest e.jsonl",
        {**SERVERS, "RESEGMENT_ALIASES": "no.json"},
        2,
        'error: no.json: no such file or folder Write a JSON object that maps each alias to the account: {"acme.io": "acme.com"}.',
    ),
    (
        "status",
        {"RESEGMENT_KAFKA": "localhost:1", "RESEGMENT_REDIS": "http://localhost:1"},
        1,
        "error: the URL of Redis cannot be used: its scheme is unknown Use redis://HOST:PORT, redis+cluster://HOST:PORT,HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, the same with rediss for TLS, or unix:///PATH.",
    ),
    (
        "status",
        {**SERVERS, "RESEGMENT_KAFKA_SASL": "PLAIN"},
        1,
        "error: kafka_sasl needs a user name and a password Set RESEGMENT_KAFKA_USERNAME and RESEGMENT_KAFKA_PASSWORD_FILE (or RESEGMENT_KAFKA_PASSWORD).",
    ),
    (
        "status",
        {
            **SERVERS,
            "RESEGMENT_KAFKA_SASL": "PLAIN",
            "RESEGMENT_KAFKA_USERNAME": "u",
            "RESEGMENT_KAFKA_PASSWORD": "p",
        },
        1,
        "error: SASL without TLS would send the password in plain text Set RESEGMENT_KAFKA_TLS=true, or RESEGMENT_KAFKA_ALLOW_PLAINTEXT_SASL=true on a network that you trust.",
    ),
    (
        "status",
        {**SERVERS, "RESEGMENT_KAFKA_CA": "no.pem"},
        1,
        "error: kafka_ca or kafka_cert is set without kafka_tls Set RESEGMENT_KAFKA_TLS=true.",
    ),
    (
        "status",
        {**SERVERS, "RESEGMENT_REDIS_PASSWORD_FILE": "no"},
        1,
        "error: cannot read the file of redis_password, no: no such file or folder Check the path in RESEGMENT_REDIS_PASSWORD_FILE.",
    ),
    (
        "status",
        {"RESEGMENT_PARTITION": "8"},
        1,
        "warning: unknown setting RESEGMENT_PARTITION: did you mean RESEGMENT_PARTITIONS? error: no instance is running in .resegment Start one with `resegment up`, pass its folder with --folder, or set RESEGMENT_KAFKA and RESEGMENT_REDIS.",
    ),
    (
        "lint segments.yaml",
        {"RESEGMENT_LOCALE": "qq"},
        2,
        "error: unknown locale 'qq' Set RESEGMENT_LOCALE to a name like en_US, en_GB or de_DE.",
    ),
]


@pytest.mark.parametrize(("line", "variables", "code", "message"), MESSAGES, ids=[one[0] for one in MESSAGES])
def test_what_is_wrong_is_said_in_these_words(
    line: str, variables: dict[str, str], code: int, message: str
) -> None:
    result = CliRunner().invoke(build(), shlex.split(line), env=variables)
    assert result.exit_code == code
    assert not result.stdout
    assert said(result.stderr) == message


def said(text: str) -> str:
    """The message without the frame that usage errors are drawn in."""
    lines = [
        line.strip("│ ") for line in text.splitlines() if not line.startswith(("╭", "╰", "Usage", "Try"))
    ]
    return " ".join(line for line in lines if line)
