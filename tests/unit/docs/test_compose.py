"""docker-compose.yml keeps to the Compose Specification and to what workers understand."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from resegment.settings import Settings

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OWN = [name for name, one in SERVICES.items() if one["image"].startswith("resegment:")]
"""The services that run the image of this repository."""


def test_the_file_keeps_to_the_specification() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPOSE)] == []


def test_the_specification_would_refuse_a_misspelt_key() -> None:
    wrong = {**COMPOSE, "services": {"redis": {**SERVICES["redis"], "comand": []}}}
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_of_a_worker_is_a_setting(service: str) -> None:
    given = {name for name in SERVICES[service].get("environment", {}) if name.startswith("RESEGMENT_")}
    assert {name.removeprefix("RESEGMENT_").lower() for name in given} <= Settings.model_fields.keys()


def test_the_settings_of_all_that_runs_the_image_are_valid() -> None:
    for service in OWN:
        given = SERVICES[service]["environment"]
        plain = {
            name.removeprefix("RESEGMENT_").lower(): re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
            for name, value in given.items()
        }
        Settings.model_validate_strings(plain)


def test_every_variable_of_the_image_is_a_setting() -> None:
    given = re.findall(r"^(?!RUN).*RESEGMENT_(\w+)=", DOCKERFILE, re.MULTILINE)
    assert given
    assert {name.lower() for name in given} <= Settings.model_fields.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_memory_limit(service: str) -> None:
    assert SERVICES[service]["mem_limit"].endswith("g")


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(
        r"^FROM (\S+)", DOCKERFILE, re.MULTILINE
    )
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+(-\w+)*", image) for image in images), images


def test_workers_start_once_their_servers_are_healthy() -> None:
    for service in ("worker", "demo-worker"):
        waits = SERVICES[service]["depends_on"]
        assert {name: wait["condition"] for name, wait in waits.items()} == {
            "kafka": "service_healthy",
            "redis": "service_healthy",
        }
    assert all(SERVICES[name]["healthcheck"]["test"] for name in ("kafka", "redis"))
    assert "/healthz" in DOCKERFILE


def test_two_workers_run() -> None:
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_redis_evicts_nothing_and_both_servers_keep_their_data() -> None:
    redis = SERVICES["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert (options["--maxmemory-policy"], options["--appendonly"]) == ("noeviction", "yes")
    version = re.search(r":(\d+)\.(\d+)", redis["image"])
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (7, 2)
    for server, place in {"kafka": "/var/lib/kafka/data", "redis": "/data"}.items():
        (volume,) = SERVICES[server]["volumes"]
        assert volume == f"{server}:{place}"
        assert server in COMPOSE["volumes"]
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"


def test_the_version_of_kafka_is_the_one_that_tests_run_on() -> None:
    pom = (ROOT / "benchmarks" / "servers" / "kafka" / "pom.xml").read_text("utf-8")
    assert f"<kafka.version>{SERVICES['kafka']['image'].partition(':')[2]}</kafka.version>" in pom


def test_the_demo_reads_files_that_the_image_has() -> None:
    files = [part for part in SERVICES["ingest"]["command"] if part.startswith("/examples/")]
    assert files
    assert all((ROOT / file.removeprefix("/")).exists() for file in files)


def test_what_observes_mounts_files_that_there_are_and_scrapes_the_workers() -> None:
    mounts = [one for name in ("prometheus", "grafana") for one in SERVICES[name]["volumes"]]
    assert all((ROOT / one.partition(":")[0]).is_dir() for one in mounts if one.startswith("."))
    config = yaml.safe_load((ROOT / "ops" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    beside = {"demo-worker", "ingest"}  # the demo has a prefix of its own
    assert {*found["names"]} == {*OWN} - beside
    assert f"EXPOSE {found['port']}" in DOCKERFILE
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "ops" / "grafana" / "dashboards" / Path(home).name).is_file()


def test_what_observes_is_reached_from_this_machine_only_and_starts_only_when_asked_for() -> None:
    for name in ("prometheus", "grafana"):
        assert SERVICES[name]["profiles"] == ["observe"]
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize(
    ("service", "deployment"),
    {
        "worker": "base/worker",
        "console": "base/console",
        "intake": "base/intake",
        "webhooks": "base/deliver",
        "sinks": "components/sinks/sinks",
    }.items(),
)
def test_a_service_runs_what_its_deployment_runs(service: str, deployment: str) -> None:
    # tests/integration/test_kubernetes.py runs these, with the health check of the image
    file = ROOT / "deploy" / "kubernetes" / f"{deployment}.yaml"
    pod = next(yaml.safe_load_all(file.read_text("utf-8")))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert SERVICES[service]["command"] == container["args"]
    files = {one["name"]: Path(one["value"]).name for one in container.get("env", [])}
    given = SERVICES[service]["environment"]
    assert {name: Path(given[name]).name for name in files} == files


@pytest.mark.parametrize("service", OWN)
def test_a_file_that_a_setting_names_is_mounted(service: str) -> None:
    targets = [
        one["target"] if isinstance(one, dict) else one.rpartition("}:")[2].partition(":")[0]
        for one in SERVICES[service].get("volumes", [])
    ]
    given = SERVICES[service]["environment"]
    for name in ("RESEGMENT_SEGMENTS", "RESEGMENT_INTAKE", "RESEGMENT_WEBHOOKS", "RESEGMENT_SINKS"):
        if name in given:
            assert given[name] in targets


def test_a_file_that_is_missing_is_an_error_and_no_empty_folder() -> None:
    for service in ("intake", "webhooks", "sinks"):
        (mount,) = SERVICES[service]["volumes"]
        assert mount["read_only"]
        assert mount["bind"] == {"create_host_path": False}


def test_the_console_and_the_intake_are_reached_from_this_machine_only() -> None:
    for service in ("console", "intake"):
        (port,) = SERVICES[service]["ports"]
        assert re.fullmatch(r"127\.0\.0\.1:\d+:8300", port)


def test_what_is_asked_for_by_a_profile_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    profiles = {one for service in SERVICES.values() for one in service.get("profiles", [])} - {"demo"}
    assert all(f"--profile {one}" in page for one in profiles)
    variables = set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text("utf-8")))
    assert all(f"`{one}`" in page for one in variables)


def test_the_image_has_what_its_commands_need() -> None:
    found = re.search(r"'resegment\[([\w,]+)\]'", DOCKERFILE)
    assert found is not None
    assert {"oidc", "tracing"} <= set(found[1].split(","))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    lock = (ROOT / "requirements.lock").read_text("utf-8").lower()
    for extra in found[1].split(","):
        for one in extras[extra]:
            name = re.match(r"[\w-]+", one)
            assert name is not None
            assert re.search(rf"^{name[0].lower()}==", lock, re.MULTILINE), (
                "the image installs what is locked"
            )
