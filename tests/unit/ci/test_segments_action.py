"""The GitHub Action for segments files: its script runs as the workflow runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ACTION = ROOT / ".github" / "actions" / "segments"
DESCRIPTION: dict[str, Any] = yaml.safe_load((ACTION / "action.yml").read_text("utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
GIT = shutil.which("git") or "git"
EXAMPLE = ROOT / "examples" / "quickstart.yaml"

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/crm",
    "type": "gtm.firmographic.v1",
    "subject": "acme.com",
    "time": "2026-01-31T09:00:00Z",
    "data": {"status": "active", "employees": 45},
}


class Done(NamedTuple):
    code: int
    log: str
    summary: str
    output: str


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    done = subprocess.run(
        [GIT, *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "segments.yaml").write_text(EXAMPLE.read_text())
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def check(repository: Path, **given: str) -> Done:
    summary, output = repository.parent / "summary.md", repository.parent / "output"
    environment = {
        **os.environ,
        "SEGMENTS": "conf/segments.yaml",
        "BASE": git(repository, "rev-parse", "HEAD"),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(output),
        **given,
    }
    done = subprocess.run(
        [sys.executable, str(ACTION / "check.py")],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, summary.read_text(), output.read_text())


def edit(repository: Path, old: str, new: str) -> None:
    file = repository / "conf" / "segments.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.full
def test_a_file_that_means_the_same_passes_and_changes_nothing(repository: Path) -> None:
    edit(repository, "version: 1\n", "# reworked\nversion: 1\n")
    done = check(repository)
    assert (done.code, done.output) == (0, "changes=false\n")
    assert done.summary.count("| passed |") == 3
    assert "Nothing differs" in done.summary
    assert git(repository, "worktree", "list").count("\n") == 0


def test_what_changes_is_told_by_meaning(repository: Path) -> None:
    edit(repository, "{gte: 50}", "{gte: 40}")
    done = check(repository)
    assert (done.code, done.output) == (0, "changes=true\n")
    assert "employees at least 50 → 40" in done.summary


@pytest.mark.full
def test_with_events_the_plan_says_who_would_move(repository: Path) -> None:
    (repository / "history.jsonl").write_text(json.dumps(EVENT) + "\n")
    edit(repository, "{gte: 50}", "{gte: 40}")
    done = check(repository, EVENTS="history.jsonl")
    assert (done.code, done.output) == (0, "changes=true\n")
    assert "1 of 1 account moves" in done.summary
    assert re.search(r"^\| `?not-now`? +\| `?established`? +\| 1", done.summary, re.MULTILINE)


@pytest.mark.full
def test_an_error_is_shown_at_its_line_and_fails(repository: Path) -> None:
    edit(repository, "play: find-the-owner", "play: find-the-owners")
    done = check(repository)
    assert done.code == 1
    assert "| Lint | failed |" in done.summary
    (line,) = re.findall(r"^::error .*", done.log, re.MULTILINE)
    assert line.startswith("::error file=conf/segments.yaml,line=")
    assert "unknown-play" in line
    assert "cannot be compared" in done.summary


@pytest.mark.full
def test_a_test_that_fails_and_another_style_fail(repository: Path) -> None:
    edit(repository, "{gte: 50}", "{gte:  60}")
    done = check(repository)
    assert done.code == 1
    assert "| One style (`resegment fmt`) | failed |" in done.summary
    assert "| Tests | failed |" in done.summary
    assert "| Lint | passed |" in done.summary


@pytest.mark.full
def test_a_warning_fails_only_if_that_is_asked_for(repository: Path) -> None:
    edit(repository, "version: 1\n", "version: 1\nlists: {unused: [a]}\n")
    assert check(repository).code == 0
    done = check(repository, STRICT="true")
    assert done.code == 1
    assert "::warning file=conf/segments.yaml,line=" in done.log


@pytest.mark.parametrize("base", ["0" * 40, "no-such-branch", "--upload-pack=x"])
def test_without_a_base_the_file_alone_is_checked(repository: Path, base: str) -> None:
    done = check(repository, BASE=base)
    assert (done.code, done.output) == (0, "changes=true\n")
    assert "There is no segments file to compare with." in done.summary


def test_nothing_that_a_file_says_is_a_command_to_the_runner(repository: Path) -> None:
    edit(repository, "name: a company of 50 is established", 'name: "::add-mask::x"')
    edit(repository, "expect: established", "expect: not-now")
    done = check(repository)
    stopped = re.findall(r"::stop-commands::(\w{32})\n(.*?)\n::\1::", done.log, re.DOTALL)
    assert any("::add-mask::x" in text for _, text in stopped)
    for token, text in stopped:
        assert token not in text
    outside = re.sub(r"::stop-commands::(\w{32})\n.*?\n::\1::", "", done.log, flags=re.DOTALL)
    assert "::add-mask::x" not in outside


def test_no_input_is_put_into_a_script(repository: Path) -> None:
    for step in DESCRIPTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert step.get("shell", "bash") == "bash"
        uses = step.get("uses", "actions/setup-python@v6")
        assert re.fullmatch(r"actions/[\w-]+@v\d+", uses)
    used = re.findall(r"inputs\.([\w-]+)", (ACTION / "action.yml").read_text("utf-8"))
    assert set(used) == set(DESCRIPTION["inputs"])
    script = (ACTION / "check.py").read_text("utf-8")
    assert all(f'"{name}"' in script for name in DESCRIPTION["runs"]["steps"][-1]["env"])


@pytest.mark.parametrize(
    ("path", "formatted"),
    [
        ("segments.yaml", True),
        ("conf/segments.yml", True),
        ("segments/plays/all.yaml", True),
        ("segments-eu.yaml", True),
        ("webhooks.yaml", False),
        ("my-segments.yaml", False),
        ("segments.yaml.bak", False),
    ],
)
def test_the_hook_formats_segments_files(path: str, formatted: bool) -> None:
    (hook,) = [one for one in HOOKS if one["id"] == "resegment-fmt"]
    assert bool(re.search(hook["files"], path)) is formatted


def test_the_hook_plans_what_a_commit_changes(repository: Path) -> None:
    (hook,) = [one for one in HOOKS if one["id"] == "resegment-plan"]
    (repository / "history.jsonl").write_text(json.dumps(EVENT) + "\n")
    bin_folder = repository.parent / "bin"
    bin_folder.mkdir()
    command = bin_folder / "resegment"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m resegment "$@"\n')
    command.chmod(0o755)

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [*shlex.split(hook["entry"]), *arguments],
            cwd=repository,
            env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    given = ("conf/segments.yaml", "--events", "history.jsonl")
    edit(repository, "{gte: 50}", "{gte: 40}")
    code, output = run(*given)
    assert (code, "1 of 1 account moves" in output) == (0, True)
    edit(repository, "{gte: 40}", "{gte: ")
    assert run(*given)[0] != 0
    assert run("conf/other.yaml", *given[1:]) == (0, "conf/other.yaml is new\n")


@pytest.mark.full
def test_the_hooks_run_from_a_clone(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run([GIT, "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    file = repository / "conf" / "segments.yaml"
    file.write_text(file.read_text().replace("{gte: 50}", "{gte:   50}"))
    git(repository, "add", ".")

    done = subprocess.run(
        [str(Path(sys.executable).with_name("pre-commit")), "try-repo", str(clone), "resegment-fmt", "--all-files"],
        cwd=repository, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    assert "files were modified by this hook" in done.stdout
    assert "{gte: 50}" in file.read_text()
