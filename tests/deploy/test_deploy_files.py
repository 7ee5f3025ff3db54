"""The files under deploy/: good by the schemas of those who read them, careful, and of one mind with the program.

That the image runs is what `tests/compose/test_images.py` shows; there is no cluster and no systemd here to run these.
"""

import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator
from tests.backends.debian import program
from tests.brought import CACHE
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIANTS = ("one", "several")
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the manifests are held against."""
SETTINGS_FILES = sorted(DEPLOY.rglob("midwatch.toml"))
LABEL = {"app.kubernetes.io/name": "midwatch"}


@cache
def manifests(variant: str) -> list[dict[str, Any]]:
    """Return what a variant's kustomization names, with the ConfigMaps that it makes."""
    return list(_of(DEPLOY / "kubernetes" / variant))


def _of(folder: Path) -> Iterator[dict[str, Any]]:
    kustomization = read(folder / "kustomization.yaml")
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        yield from _of(path) if path.is_dir() else [read(path)]
    for made in kustomization.get("configMapGenerator", ()):
        data = {name: (folder / name).read_text(encoding="utf-8") for name in made.get("files", ())}
        data |= dict(pair.split("=", 1) for pair in made.get("literals", ()))
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data}


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict), path
    return found


def one_of(variant: str, *kinds: str) -> dict[str, Any]:
    (found,) = [each for each in manifests(variant) if each["kind"] in kinds]
    return found


def pod(variant: str) -> dict[str, Any]:
    template = one_of(variant, "StatefulSet", "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"] == LABEL
    spec: dict[str, Any] = template["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_manifest_is_good_by_the_schemas_of_kubernetes_and_says_nothing_that_they_do_not_know(
    variant: str, version: str
) -> None:
    for each in manifests(variant):
        kubernetes_validate.validate(each, version, strict=True)


def test_the_schemas_would_find_a_mistake() -> None:
    wrong = json.loads(json.dumps(one_of("one", "StatefulSet")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_pods_are_as_careful_as_the_restricted_standard_asks(variant: str) -> None:
    spec = pod(variant)
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 1000  # the image's own user; a name would not do
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {*(kind for volume in spec["volumes"] for kind in volume if kind != "name")} <= {
        *("configMap", "secret", "emptyDir")
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_pod_mounts_and_who_finds_it_is_there(variant: str) -> None:
    spec, workload = pod(variant), one_of(variant, "StatefulSet", "Deployment")
    (container,) = spec["containers"]
    made = {each["metadata"]["name"] for each in manifests(variant) if each["kind"] == "ConfigMap"}
    claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
    volumes = {each["name"] for each in spec["volumes"]} | claims
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert {each["configMapRef"]["name"] for each in container["envFrom"]} <= made
    assert {each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each} <= made
    for selector in (
        workload["spec"]["selector"]["matchLabels"],
        one_of(variant, "Service")["spec"]["selector"],
        one_of(variant, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == LABEL
    assert spec["serviceAccountName"] == one_of(variant, "ServiceAccount")["metadata"]["name"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pod_has_time_to_finish_and_nobody_sends_it_anything_meanwhile(variant: str) -> None:
    spec = pod(variant)
    (container,) = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] > pause + Settings.model_fields["grace_seconds"].default
    (port,) = one_of(variant, "Service")["spec"]["ports"]
    (listens,) = container["ports"]
    assert port["targetPort"] == listens["name"]
    assert listens["containerPort"] == Settings.model_fields["listen_port"].default
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == listens["name"]
    # A Service of this name would be told to pods as MIDWATCH_PORT and the like, which look like settings.
    assert spec["enableServiceLinks"] is False


def test_several_hosts_are_replaced_one_by_one_and_share_a_database() -> None:
    deployment = one_of("several", "Deployment")["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert one_of("several", "PodDisruptionBudget")["spec"]["minAvailable"] < deployment["replicas"]
    assert one_of("one", "StatefulSet")["spec"]["replicas"] == 1
    told = tomllib.loads((DEPLOY / "kubernetes" / "several" / "midwatch.toml").read_text(encoding="utf-8"))
    assert told["database_url"].startswith("file:")


def test_both_variants_have_the_same_pod_but_for_where_the_journal_is() -> None:
    one, several = (json.loads(json.dumps(pod(variant))) for variant in VARIANTS)
    several.pop("topologySpreadConstraints")
    several["volumes"] = [each for each in several["volumes"] if each["name"] != "journal"]
    assert one == several


@pytest.mark.parametrize("path", SETTINGS_FILES, ids=lambda path: path.parent.name)
def test_the_settings_are_right_by_our_own_check(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets stand where the test can put them."""
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8").replace("/etc/midwatch/steering", str(ROOT / "steering"))
    for place in set(re.findall(r'"file:([^"]+)"', text)):
        secret = tmp_path / Path(place).name
        secret.write_text("postgresql://me:hush@host/name\n")
        secret.chmod(0o440)
        text = text.replace(place, str(secret))
    (tmp_path / "midwatch.toml").write_text(text)
    done = CliRunner().invoke(app, ["config", "check"])
    assert (done.exit_code, done.output) == (0, "the settings are right\n")


def test_secrets_of_pods_are_not_for_everybody() -> None:
    for variant in VARIANTS:
        (mode,) = [each["secret"]["defaultMode"] for each in pod(variant)["volumes"] if "secret" in each]
        assert mode & (stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH) == 0


def test_compose_is_good_by_its_schema_and_careful() -> None:
    compose = read(DEPLOY / "compose" / "compose.yaml")
    program("docker-compose", "docker-compose")
    (schema,) = (CACHE / "docker-compose").rglob("compose_spec.json")
    faults = Draft7Validator(json.loads(schema.read_text(encoding="utf-8"))).iter_errors(compose)
    assert [f"{'.'.join(map(str, each.path))}: {each.message}" for each in faults] == []
    midwatch = compose["services"]["midwatch"]
    assert (midwatch["user"], midwatch["read_only"], midwatch["cap_drop"]) == ("1000:1000", True, ["ALL"])
    assert int(midwatch["stop_grace_period"].rstrip("s")) > Settings.model_fields["grace_seconds"].default
    assert compose["services"]["postgres"]["profiles"] == ["postgresql"]
    assert {mount.split(":")[0] for mount in midwatch["volumes"]} <= {*compose["volumes"], "./midwatch.toml"}


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    for name in ("midwatch.service", "midwatch.socket"):
        text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/midwatch/bin/midwatch", f"{sys.executable} -m midwatch"))
    units = [tmp_path / name for name in ("midwatch.service", "midwatch.socket")]
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    rated = [*command[:1], "security", "--offline=true", "--threshold=20", str(units[0])]
    assert subprocess.run(rated, capture_output=True, check=False, timeout=60).returncode == 0


def test_the_service_gives_the_program_time_and_signals_it_alone() -> None:
    text = (DEPLOY / "systemd" / "midwatch.service").read_text(encoding="utf-8")
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert int(said["TimeoutStopSec"]) > Settings.model_fields["grace_seconds"].default
    assert said["KillMode"] == "mixed"
    assert (said["Restart"], said["StartLimitIntervalSec"]) == ("on-failure", "0")  # it comes back, however late
    assert said["ExecStart"] == "/opt/midwatch/bin/midwatch up"
