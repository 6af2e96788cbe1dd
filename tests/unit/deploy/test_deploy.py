"""What supervisors are told fits what the program does."""

import configparser
import re
import shutil
import subprocess
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_app.cli.roles import STOP_GRACE_S
from stream_app.settings import Settings, variable_of

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = {variable_of(name) for name in Settings.model_fields}
DRAIN_S = Settings.model_fields["drain_timeout_ms"].default / 1000 + STOP_GRACE_S


class Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, which YAML loaders pass over."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - theirs
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.load_all((DEPLOY / "kubernetes/clipfold.yaml").read_text(), Strict)
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


MANIFESTS = manifests()
PODS = {
    "worker": MANIFESTS["StatefulSet", "worker"]["spec"]["template"],
    "serve": MANIFESTS["Deployment", "serve"]["spec"]["template"],
}


def container(role: str) -> dict[str, Any]:
    (only,) = PODS[role]["spec"]["containers"]
    return dict(only)


def environment(role: str) -> dict[str, Any]:
    own = {each["name"]: each.get("value") for each in container(role)["env"]}
    return MANIFESTS["ConfigMap", "clipfold"]["data"] | own


@pytest.mark.parametrize("role", PODS)
def test_every_variable_is_a_setting_that_can_be_read(role: str) -> None:
    values = environment(role)
    assert values.keys() <= VARIABLES
    names = {variable_of(name): name for name in Settings.model_fields}
    given = {names[variable]: value for variable, value in values.items() if value is not None}
    assert Settings(_env_file=None, **given).sandbox == "auto"


@pytest.mark.parametrize("role", PODS)
def test_probes_ask_where_the_role_answers(role: str) -> None:
    ports = {each["name"]: each["containerPort"] for each in container(role)["ports"]}
    port, host = {"worker": ("METRICS_PORT", "METRICS_HOST"), "serve": ("API_PORT", "API_HOST")}[role]
    for probe, path in [("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")]:
        asked = container(role)[f"{probe}Probe"]["httpGet"]
        assert asked["path"] == path
        assert str(ports[asked["port"]]) == environment(role)[f"RENDER_{port}"]
    assert environment(role)[f"RENDER_{host}"] == "0.0.0.0"  # noqa: S104 - the kubelet asks from outside the pod


@pytest.mark.parametrize("role", PODS)
def test_a_pod_may_drain_before_it_is_killed(role: str) -> None:
    before = container(role).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
    assert PODS[role]["spec"]["terminationGracePeriodSeconds"] >= DRAIN_S + int(before[1])


@pytest.mark.parametrize("role", PODS)
def test_a_pod_has_no_powers_and_writes_where_it_must(role: str) -> None:
    spec, own = PODS[role]["spec"], container(role)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {each["mountPath"] for each in container(role)["volumeMounts"]}
    assert {environment(role)["RENDER_ARTIFACTS_DIR"], "/tmp"} <= mounts  # noqa: S108 - of the pod
    assert {each["name"] for each in container(role)["volumeMounts"]} == {v["name"] for v in spec["volumes"]}


def test_what_selects_pods_selects_them() -> None:
    for kind, name in [("StatefulSet", "worker"), ("PodDisruptionBudget", "worker"), ("Deployment", "serve")]:
        selected = MANIFESTS[kind, name]["spec"]["selector"]["matchLabels"]
        assert selected == PODS[name]["metadata"]["labels"]
    assert MANIFESTS["Service", "serve"]["spec"]["selector"] == PODS["serve"]["metadata"]["labels"]
    assert MANIFESTS["Service", "workers"]["spec"]["selector"] == PODS["worker"]["metadata"]["labels"]


def test_the_image_has_what_the_manifest_runs() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    user = PODS["worker"]["spec"]["securityContext"]["runAsUser"]
    assert f"useradd --uid {user}" in dockerfile
    assert f"USER {user}:{user}" in dockerfile
    root = environment("worker")["RENDER_MEDIA_ROOTS"]
    assert f"COPY media/fallback {root}/media/fallback" in dockerfile
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(_copied(dockerfile))
    assert copied == shown
    assert [path for path in copied if not (ROOT / path).exists()] == []


def _copied(dockerfile: str) -> Iterator[str]:
    for line in dockerfile.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            yield from line.split()[1:-1]


def read_unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # how the library has it be set
    unit.read_string(path.read_text())
    return unit


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_restarts_drains_and_is_hardened_as_far_as_bubblewrap_lets_it(path: Path) -> None:
    service = read_unit(path)["Service"]
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) >= DRAIN_S
    assert service["KillMode"] == "mixed"
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    # Each of these keeps bubblewrap from its namespaces, or from a /proc of its own.
    hindering = {"RestrictNamespaces", "PrivateUsers", "ProtectProc", "ProcSubset", "ProtectHostname"}
    hindering |= {"ProtectKernelTunables", "ProtectKernelLogs", "ProtectControlGroups"}
    assert not hindering & set(service)
    assert "@mount" in service["SystemCallFilter"]
    assert set(re.findall(r"RENDER_\w+", service.get("Environment", ""))) <= VARIABLES


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_every_line_of_a_unit(path: Path, tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / path.name.replace("@", "@1")
    # The program need not be installed for the words to be right.
    unit.write_text(re.sub(r"/opt/clipfold/\S+/clipfold", "/bin/true", path.read_text()))
    done = subprocess.run(
        [systemd, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, complaints) == (0, [])
