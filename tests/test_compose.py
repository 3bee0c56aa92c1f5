"""compose.yaml and the Dockerfile promise a deployable service; this checks the promises."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_services_are_the_ones_of_the_design() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {
        "neo4j",
        "redis",
        "api",
        "cpu-worker",
        "data-worker",
        "long-worker",
        "remote-worker",
        "gpu-worker",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_health_check_a_restart_policy_and_a_pinned_image(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert re.fullmatch(r"[\w/.-]+:\d[\w.-]+", service["image"]), "an image tag that names a version"


@pytest.mark.parametrize("name", SERVICES)
def test_state_lies_in_named_volumes(name: str) -> None:
    kept = [volume for volume in SERVICES[name]["volumes"] if not volume.endswith(":/models:ro")]  # what users bring
    sources = [volume.partition(":")[0] for volume in kept]
    assert sources and set(sources) <= set(COMPOSE["volumes"])


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    secrets = re.findall(r"\$\{(STSG_\w*(?:PASSWORD|TOKENS))([^}]*)\}", text)
    assert len({name for name, _ in secrets}) == 3
    assert all(rest.startswith(":?") for _, rest in secrets), "an unset secret must stop the start, not default"
    for line in (ROOT / ".env.example").read_text().splitlines():
        assert line.startswith("#") or line.endswith("="), "the example must hold no secret"


def test_only_the_api_listens_beyond_this_machine() -> None:
    ports = {name: service.get("ports", []) for name, service in SERVICES.items()}
    open_ports = {name for name, rules in ports.items() for rule in rules if not rule.startswith("127.0.0.1:")}
    assert open_ports == {"api"}
    assert "STSG_API_TOKENS" in SERVICES["api"]["environment"]


def _devices(name: str) -> dict[str, Any]:
    [device] = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    return dict(device)


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_each_gpu_has_one_worker_that_serves_the_gpu_queues(gpus: int) -> None:
    profile = f"gpus-{gpus}"
    workers = [n for n, s in SERVICES.items() if n.startswith("gpu-worker") and profile in s.get("profiles", [profile])]
    assert sorted(_devices(name)["device_ids"] for name in workers) == [[str(n)] for n in range(gpus)]
    for name in workers:
        assert "${GPU_QUEUES:-gpu.soon,gpu.infer,gpu.train}" in SERVICES[name]["command"]
        assert SERVICES[name]["depends_on"] == SERVICES["gpu-worker"]["depends_on"]
        assert SERVICES[name]["shm_size"] == "16gb", "the usual 64 MB are too few for a batch of pictures"
    others = ("cpu-worker", "data-worker", "long-worker", "remote-worker")
    served = ["${CPU_QUEUES:-cpu}", "cpu.soon", "cpu.long", "remote"]
    assert [SERVICES[name]["command"][5] for name in others] == served


def test_a_trainer_has_all_gpus_and_nothing_but_trainings() -> None:
    assert _devices("gpu-trainer")["count"] == "all" and "gpu.train" in SERVICES["gpu-trainer"]["command"]
    assert SERVICES["gpu-trainer"]["profiles"] == ["trainer"]


@pytest.mark.parametrize("name", ["api", "cpu-worker", "data-worker", "long-worker", "remote-worker", "gpu-worker"])
def test_what_needs_the_database_and_the_broker_waits_until_they_are_healthy(name: str) -> None:
    wanted = {"condition": "service_healthy"}
    assert SERVICES[name]["depends_on"] == {"neo4j": wanted, "redis": wanted}


def test_every_setting_that_compose_passes_is_one_the_service_reads() -> None:
    from workers.settings import Settings

    passed = {key for service in SERVICES.values() for key in service["environment"] if key.startswith("STSG_")}
    elsewhere = {"trust_remote_code"}  # what no field of the settings holds
    assert {key.removeprefix("STSG_").lower() for key in passed} - elsewhere <= set(Settings.model_fields)


def test_the_example_names_what_compose_reads_and_nothing_else() -> None:
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    named = {line.removesuffix("=") for line in (ROOT / ".env.example").read_text().splitlines() if line.endswith("=")}
    assert named - {"COMPOSE_PROFILES"} == read  # which Compose itself reads


def test_the_image_is_built_from_the_lock_and_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement requirements.lock" in dockerfile
    assert dockerfile.index("USER stsg") < dockerfile.index("CMD")
    copied = {source for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M) for source in line.split()}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)
    assert re.match(r"FROM python:\d+\.\d+\.\d+-", dockerfile), "a tag that names a version"


def test_each_container_of_ours_may_write_its_state_folder() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    [owned] = re.findall(r"chown stsg ([/\w ]+)", dockerfile)
    [usual] = re.findall(r"^ENV STSG_HOME=(\S+)", dockerfile, re.M)
    for name in ("api", "cpu-worker", "gpu-worker"):
        home = SERVICES[name]["environment"].get("STSG_HOME", usual)
        assert any(f"{home}/".startswith(f"{folder}/") for folder in owned.split()), name
    [mounted] = [v.removeprefix("files:") for v in SERVICES["api"]["volumes"] if v.startswith("files:")]
    for file in ("STSG_HOME", "STSG_STORAGE"):
        assert f"{mounted}/" in SERVICES["api"]["environment"][file], "an upload is moved, not copied"
