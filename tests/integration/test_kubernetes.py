"""Each command of a manifest runs, and each of its probes is answered, as a kubelet asks.

docker-compose.yml runs the same commands: its health checks run here, too.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml

from resegment.benchmarks.servers.apache import free_port
from resegment.http.intake.keys import make_key
from tests.integration.conftest import Stack
from tests.integration.test_up import DEADLINE, EXAMPLES, start

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "kubernetes" / "base"
TEMPLATES: Mapping[str, dict[str, Any]] = {
    file.stem: next(yaml.safe_load_all(file.read_text("utf-8")))["spec"]["template"]
    for file in (*sorted(BASE.glob("*.yaml")), BASE.parent / "components" / "sinks" / "sinks.yaml")
    if file.stem != "kustomization"
}
DEPLOYMENTS = {name: one["spec"]["containers"][0] for name, one in TEMPLATES.items()}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
LITERALS = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))["configMapGenerator"][0][
    "literals"
]

_CHECK = re.search(
    r"^HEALTHCHECK .*\n\s+CMD (\[.*\])$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE
)
assert _CHECK is not None
OF_IMAGE: list[str] = orjson.loads(_CHECK[1])


def write_files(folder: Path) -> Mapping[str, str]:
    """Write what the volumes hold; return where each setting of the manifests leads to here."""
    _, digest = make_key()
    hook = {"url": "https://crm.example.com/", "secrets": [{"env": "HOOK"}]}
    chat = {
        "vendor": "slack",
        "credentials": {"token": {"env": "HOOK"}},
        "options": {"channel": "C0123456"},
        "workflows": {"*": {}},
    }
    files = {
        "RESEGMENT_SINKS": ("sinks.yaml", {"sinks": {"chat": chat}}),
        "RESEGMENT_INTAKE": ("keys.yaml", {"keys": [{"name": "a", "sha256": digest}]}),
        "RESEGMENT_WEBHOOKS": ("webhooks.yaml", {"endpoints": {"crm": hook}}),
    }
    for name, content in files.values():
        (folder / name).write_bytes(orjson.dumps(content))
    return {setting: str(folder / name) for setting, (name, _) in files.items()}


def variables(container: dict[str, Any], stack: Stack, folder: Path, port: int) -> dict[str, str]:
    given = dict(pair.split("=", 1) for pair in LITERALS)
    given |= {one["name"]: one["value"] for one in container.get("env", [])}
    places = {**write_files(folder), "RESEGMENT_SEGMENTS": str(EXAMPLES / "quickstart.yaml")}
    given |= {setting: place for setting, place in places.items() if setting in given}
    return given | {
        "RESEGMENT_HTTP_PORT": str(port),
        "RESEGMENT_HTTP_HOST": "127.0.0.1",  # elsewhere the console asks for a login
        "RESEGMENT_KAFKA": stack.bootstrap,
        "RESEGMENT_REDIS": stack.redis_url,
        "RESEGMENT_PREFIX": "pods",
        "RESEGMENT_PARTITIONS": "2",
        "HOOK": "whsec_" + "c2VjcmV0" * 5,
    }


async def answered(url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until the probe succeeds. Fail at once if the process ends."""
    async with asyncio.timeout(DEADLINE), httpx.AsyncClient(timeout=5) as http:
        while process.returncode is None:
            with suppress(httpx.TransportError):
                if (await http.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    output, error = await process.communicate()
    pytest.fail((output + error).decode())


async def check_health(command: list[str], port: int) -> None:
    """Run a health check of Docker, as it stands there, beside the process."""
    program, *arguments = command
    assert program == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *[one.replace(":8300/", f":{port}/") for one in arguments],
        env={**os.environ, "RESEGMENT_HTTP_PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 0, error.decode()


async def test_each_command_runs_and_each_probe_is_answered(stack: Stack, tmp_path: Path) -> None:
    asked = 0
    running: list[asyncio.subprocess.Process] = []
    try:
        for name in ("worker", *(DEPLOYMENTS.keys() - {"worker"})):  # the worker creates the topics
            container, port = DEPLOYMENTS[name], free_port()
            process = await start(*container["args"], **variables(container, stack, tmp_path, port))
            running.append(process)
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container[kind]["httpGet"]
                assert probe["port"] in {one["name"] for one in container["ports"]}
                await answered(f"http://127.0.0.1:{port}{probe['path']}", process)
                asked += 1
            scrape = TEMPLATES[name]["metadata"]["annotations"]
            assert scrape == {"prometheus.io/scrape": "true", "prometheus.io/port": "8300"}
            await answered(f"http://127.0.0.1:{port}/metrics", process)
            await check_health(OF_IMAGE, port)
            if name == "worker":
                await check_health(COMPOSE["demo-worker"]["healthcheck"]["test"][1:], port)
            assert not re.search("exec|lifecycle", str(container)), "run these commands here too"
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        ended = [await asyncio.wait_for(process.communicate(), DEADLINE) for process in running]
    assert asked == 15
    assert [process.returncode for process in running] == [0] * 5, ended


async def test_a_health_check_fails_where_nothing_answers() -> None:
    with pytest.raises(AssertionError, match="refused"):
        await check_health(OF_IMAGE, free_port())
