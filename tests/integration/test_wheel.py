"""The built wheel is whole: installed outside the checkout, it runs the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_wheel_installed_in_a_clean_environment_runs_the_demo(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
    ]
    subprocess.run([*build, ROOT], check=True, capture_output=True, timeout=200)
    (wheel,) = tmp_path.glob("resegment-*.whl")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True, timeout=200)
    python = home / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", pinned(tmp_path)]
    subprocess.run([*pip, f"{wheel}[embedded]"], check=True, cwd=home, timeout=400)
    demo = [home / "venv" / "bin" / "resegment", "demo", "--json"]
    done = subprocess.run(demo, check=True, cwd=home, env=environment, capture_output=True, timeout=200)
    assert json.loads(done.stdout)["differences"] == 0


def pinned(folder: Path) -> Path:
    """The versions of the lock file, as constraints: pip takes those without hashes."""
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    file = folder / "constraints.txt"
    file.write_text(
        "".join(f"{line.split()[0]}\n" for line in lines if "==" in line and not line.startswith(" "))
    )
    return file
