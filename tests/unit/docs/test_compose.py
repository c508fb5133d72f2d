"""docker-compose.yml keeps to the Compose Specification and to what workers understand."""

from __future__ import annotations

import json
import re
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


def test_the_file_keeps_to_the_specification() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPOSE)] == []


def test_the_specification_would_refuse_a_misspelt_key() -> None:
    wrong = {**COMPOSE, "services": {"redis": {**SERVICES["redis"], "comand": []}}}
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_of_a_worker_is_a_setting(service: str) -> None:
    given = {name for name in SERVICES[service].get("environment", {}) if name.startswith("RESEGMENT_")}
    assert {name.removeprefix("RESEGMENT_").lower() for name in given} <= Settings.model_fields.keys()


def test_the_settings_of_the_workers_are_valid() -> None:
    for service in ("worker", "demo-worker", "ingest"):
        given = SERVICES[service]["environment"]
        plain = {
            name.removeprefix("RESEGMENT_").lower(): re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
            for name, value in given.items()
        }
        Settings.model_validate_strings(plain)


def test_every_variable_of_the_image_is_a_setting() -> None:
    given = re.findall(r"RESEGMENT_(\w+)=", DOCKERFILE)
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
    assert {*found["names"]} <= SERVICES.keys()
    assert str(found["port"]) in SERVICES["worker"]["expose"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "ops" / "grafana" / "dashboards" / Path(home).name).is_file()


def test_what_observes_is_reached_from_this_machine_only_and_starts_only_when_asked_for() -> None:
    for name in ("prometheus", "grafana"):
        assert SERVICES[name]["profiles"] == ["observe"]
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])
