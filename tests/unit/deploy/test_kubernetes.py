"""deploy/kubernetes: what the API server would refuse, and what would not run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from resegment.cli import build
from resegment.settings import Settings
from resegment.sinks.loading import load_sinks
from resegment.sinks.webhook.endpoints import load_endpoints
from resegment.sources.segments import load_definition
from resegment.streams.live.index import MOST_CHANGES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.28", "1.31", "1.34")
SCALED = json.loads((ROOT / "tests" / "data" / "keda" / "scaledobject.json").read_text("utf-8"))


def kustomizations() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(FOLDER.rglob("kustomization.yaml")):
        yield path.parent, yaml.safe_load(path.read_text("utf-8"))


def manifests() -> list[dict[str, Any]]:
    """Return all that the kustomizations name, as it stands in the files."""
    files = [
        folder / name
        for folder, one in kustomizations()
        for name in one.get("resources", [])
        if (folder / name).is_file()
    ]
    return [one for file in files for one in yaml.safe_load_all(file.read_text("utf-8"))]


MANIFESTS = manifests()
DEPLOYMENTS = {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == "Deployment"}


def check(manifest: dict[str, Any], version: str) -> None:
    if manifest["apiVersion"].startswith("keda.sh/"):
        assert [error.message for error in Draft202012Validator(SCALED).iter_errors(manifest)] == []
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_api_server_accepts_each_manifest(manifest: dict[str, Any], version: str) -> None:
    check(manifest, version)


def test_a_misspelt_key_is_noticed() -> None:
    wrong = yaml.safe_load((FOLDER / "base" / "worker.yaml").read_text("utf-8").partition("\n---")[0])
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(wrong, "1.31")
    (scaled,) = (one for one in MANIFESTS if one["kind"] == "ScaledObject")
    with pytest.raises(AssertionError):
        check({**scaled, "spec": {"triggers": scaled["spec"]["triggers"]}}, "1.31")


def test_every_file_that_a_kustomization_names_is_there() -> None:
    for folder, one in kustomizations():
        named = [*one.get("resources", []), *one.get("components", [])]
        named += [file for made in one.get("configMapGenerator", []) for file in made.get("files", [])]
        assert all((folder / name).exists() for name in named)


def test_what_kustomize_makes_of_the_example_is_accepted_and_names_only_what_it_makes() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on this machine: the files are checked one by one")
    done = subprocess.run(
        [kubectl, "kustomize", str(FOLDER / "overlays" / "example")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    for one in made:
        check(one, "1.31")
    maps = {one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap"}
    for one in made:
        if one["kind"] != "Deployment":
            continue
        pod = one["spec"]["template"]["spec"]
        used = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
        for container in pod["containers"]:
            used |= {
                given["configMapRef"]["name"] for given in container["envFrom"] if "configMapRef" in given
            }
            assert container["image"].endswith("/resegment:0.1.0")
        assert used <= maps
    assert {one["metadata"].get("namespace") for one in made} == {None, "resegment"}
    worker = next(
        one for one in made if one["metadata"]["name"] == "resegment-worker" and one["kind"] == "Deployment"
    )
    assert "replicas" not in worker["spec"]


def test_all_that_pods_read_is_made_by_the_example_or_named_there_as_a_secret() -> None:
    example = FOLDER / "overlays" / "example" / "kustomization.yaml"
    made = {maps["name"] for _, one in kustomizations() for maps in one.get("configMapGenerator", [])}
    told = set(re.findall(r"^#   (\S+)", example.read_text("utf-8"), re.MULTILINE))
    for deployment in DEPLOYMENTS.values():
        pod = deployment["spec"]["template"]["spec"]
        given = [one for container in pod["containers"] for one in container["envFrom"]]
        maps = {one["configMapRef"]["name"] for one in given if "configMapRef" in one}
        maps |= {one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one}
        secrets = {one["secretRef"]["name"] for one in given if "secretRef" in one}
        secrets |= {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
        assert maps <= made
        assert secrets <= told


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_file_that_a_setting_names_lies_in_a_volume(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == {one["name"] for one in pod["volumes"]}
    for one in container.get("env", []):
        assert str(Path(one["value"]).parent) in mounts


def test_the_files_of_the_example_can_be_read() -> None:
    example = FOLDER / "overlays" / "example"
    assert load_sinks(example / "sinks.yaml", {"SLACK_TOKEN": "xoxb-1"}).sinks.keys() == {"chat"}
    secret = "whsec_" + "c2VjcmV0" * 5
    assert load_endpoints(example / "webhooks.yaml", {"CRM_WEBHOOK_SECRET": secret}).keys() == {"crm"}
    assert load_definition(example / "segments.yaml").segments


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_may_do_no_more_than_it_needs(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    # a Service resegment-intake would set RESEGMENT_INTAKE_PORT, which looks like a setting
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_index_of_a_console_with_all_that_it_keeps_has_room() -> None:
    (volume,) = DEPLOYMENTS["resegment-console"]["spec"]["template"]["spec"]["volumes"]
    gibibytes = volume["emptyDir"]["sizeLimit"].removesuffix("Gi")
    assert int(gibibytes) << 30 > MOST_CHANGES * 1_000 + 1_000_000 * 150


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_container_runs_a_command_with_settings_that_there_are(name: str) -> None:
    (container,) = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    (command,) = container["args"]
    assert command in get_command(build()).commands  # type: ignore[attr-defined]
    given = {one["name"] for one in container.get("env", [])}
    for _, one in kustomizations():
        for made in one.get("configMapGenerator", []):
            given |= {pair.partition("=")[0] for pair in made.get("literals", [])}
    assert {one.removeprefix("RESEGMENT_").lower() for one in given} <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_all_that_belongs_to_a_deployment_selects_its_pods(name: str) -> None:
    deployment = DEPLOYMENTS[name]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    others = [one for one in MANIFESTS if one["metadata"]["name"] == name and one["kind"] != "Deployment"]
    assert "PodDisruptionBudget" in {one["kind"] for one in others}
    for one in others:
        if one["kind"] == "ScaledObject":
            assert one["spec"]["scaleTargetRef"]["name"] == name
        else:
            selector = one["spec"]["selector"]
            assert selector.get("matchLabels", selector) == labels


def test_workers_are_no_more_than_partitions_and_none_surges() -> None:
    (scaled,) = (one for one in MANIFESTS if one["kind"] == "ScaledObject")
    rolling = DEPLOYMENTS["resegment-worker"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}
    (example,) = (one for folder, one in kustomizations() if folder.name == "example")
    literals = dict(
        pair.split("=", 1) for made in example["configMapGenerator"] for pair in made.get("literals", [])
    )
    assert scaled["spec"]["maxReplicaCount"] <= int(literals["RESEGMENT_PARTITIONS"])
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["consumerGroup"] == literals["RESEGMENT_PREFIX"]
