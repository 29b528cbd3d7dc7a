"""docker-compose.yml: what can be proven of it without a container engine. Where `docker compose` is
installed, it has its say too.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from recon_service.settings import Settings, known_names
from recon_service.storage.master_key import load_accepted_keys
from tests.containers import ROOT, stages
from tests.integration.running import eventually
from tests.servers.processes import free_port
from tests.servers.redis_server import PASSWORD, binary

ONCE = ("bucket", "weights")
OURS = ("api", "worker-gpu", "worker-cpu")
WATCHING = ("prometheus", "alertmanager", "grafana")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def test_every_part_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, *ONCE, *WATCHING, "database", "broker", "objects"}
    profiles = {n: s["profiles"] for n, s in compose["services"].items() if "profiles" in s}
    assert profiles == {"weights": ["setup"], **{name: ["observability"] for name in WATCHING}}


def test_what_is_named_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("networks", [])) <= set(compose["networks"]), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
        ours = {source for source in mounted if source.startswith("./")}
        assert mounted - ours <= set(compose["volumes"]), name
        assert all((ROOT / source).exists() for source in ours), name
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            other = compose["services"][needed]
            if condition == "service_healthy":
                assert "test" in other["healthcheck"], (name, needed)
            else:
                assert condition == "service_completed_successfully"
                assert needed in ONCE
    for what in ("secrets", "networks"):
        used = {s for service in compose["services"].values() for s in service.get(what, [])}
        assert used == set(compose[what])
    named = {v.split(":")[0] for service in compose["services"].values() for v in service.get("volumes", [])}
    assert {name for name in named if not name.startswith("./")} == set(compose["volumes"])


def test_nothing_but_the_api_and_the_dashboard_can_be_reached(compose: dict[str, Any]) -> None:
    internal = {name for name, made in compose["networks"].items() if made.get("internal")}
    assert internal == {"inside", "watch"}
    open_to_others = [n for n, s in compose["services"].items() if s.get("ports")]
    assert open_to_others == ["api", "grafana"]
    outside = {n for n, s in compose["services"].items() if set(s["networks"]) - internal}
    assert outside == {"api", "weights", "grafana", "alertmanager"}
    for name in OURS:  # who sends webhooks must reach their receivers
        sends = compose["services"][name]["environment"].get("RECON_WEBHOOK_SENDING", "true")
        assert (sends == "true") == (name in outside), name
    for name in WATCHING:  # who looks at numbers reaches neither database nor selfies
        assert "inside" not in compose["services"][name]["networks"]
    for name, service in compose["services"].items():
        assert "network_mode" not in service, name
        assert not service.get("privileged"), name
    assert compose["services"]["api"]["ports"] == ["${RECON_BIND:-127.0.0.1}:8460:8460"]
    assert compose["services"]["grafana"]["ports"] == ["${RECON_GRAFANA_BIND:-127.0.0.1}:3000:3000"]


def test_prometheus_asks_every_process_and_finds_what_it_is_told(compose: dict[str, Any]) -> None:
    """Ports, the token's place, names and mounted files of the compose file are those of deploy/."""
    services = compose["services"]
    told = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    (api,) = jobs["recon-api"]["static_configs"]
    (workers,) = jobs["recon-worker"]["dns_sd_configs"]
    assert workers["type"] == "A"
    asked = {target.split(":")[0]: int(target.split(":")[1]) for target in api["targets"]}
    asked |= dict.fromkeys(workers["names"], workers["port"])
    assert set(asked) == set(OURS)
    for name, port in asked.items():
        environment = services[name]["environment"]
        assert port == int(environment["RECON_METRICS_PORT"])
        assert environment["RECON_METRICS_HOST"] == "0.0.0.0"
        assert set(services[name]["networks"]) & set(services["prometheus"]["networks"]) == {"watch"}
        for job in jobs.values():
            token = job["authorization"]["credentials_file"]
            assert token == environment["RECON_METRICS_TOKEN_FILE"]
            assert Path(token).name in services[name]["secrets"]
            assert Path(token).name in services["prometheus"]["secrets"]
    (group,) = told["alerting"]["alertmanagers"]
    assert group["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    data_source = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    assert [source["url"] for source in data_source["datasources"]] == ["http://prometheus:9090"]
    dashboards = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/recon.yml").read_text())
    folder = dashboards["providers"][0]["options"]["path"]
    mounted = dict(v.split(":")[:2] for v in services["grafana"]["volumes"])
    assert mounted["./deploy/grafana/recon-service.json"] == f"{folder}/recon-service.json"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/recon-service.json"


def test_alerts_have_receivers() -> None:
    told = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    receivers = {receiver["name"] for receiver in told["receivers"]}
    routes = [told["route"], *told["route"]["routes"]]
    assert {route["receiver"] for route in routes} == receivers
    rules = yaml.safe_load((ROOT / "deploy/prometheus/recon-rules.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    for rule in told["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            assert re.fullmatch(r'alertname!?="(\w+)"', matcher)[1] in alerts  # type: ignore[index]


def test_settings_exist_and_none_of_them_is_a_secret(compose: dict[str, Any]) -> None:
    for name in OURS:
        environment = compose["services"][name]["environment"]
        assert {key for key in environment if key.startswith("RECON_")} <= set(known_names())
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for setting in ("RECON_MASTER_KEY", "RECON_DATABASE_URL", "RECON_BROKER_URL", "RECON_S3_SECRET_KEY"):
        assert not re.search(rf"\b{setting}:", text)
    assert not re.search(r"PASSWORD:\s", text)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_valid_with_their_defaults(
    compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in known_names():
        monkeypatch.delenv(known, raising=False)
    for key, value in compose["services"][name]["environment"].items():
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)))
    settings = Settings.from_environment()
    assert settings.network_process == (name == "worker-gpu")


def test_who_works_is_given_time_to_end(compose: dict[str, Any]) -> None:
    for name in ("worker-gpu", "worker-cpu"):
        service = compose["services"][name]
        grace = int(service["stop_grace_period"].removesuffix("s"))
        assert grace > int(service["environment"]["RECON_ENROLLMENT_SECONDS"])
    for name, service in compose["services"].items():
        assert name in ONCE or service["stop_grace_period"]


def test_both_queues_are_served_and_batches_have_a_worker_of_their_own(compose: dict[str, Any]) -> None:
    gpu, cpu = (compose["services"][name]["command"] for name in ("worker-gpu", "worker-cpu"))
    assert gpu == ["worker", "--queues", "interactive,batch"]
    assert cpu == ["worker", "--queues", "${RECON_CPU_QUEUES:-batch}"]


def test_one_gpu_per_worker(compose: dict[str, Any]) -> None:
    (device,) = compose["services"]["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert len(device["device_ids"]) == 1
    assert device["capabilities"] == ["gpu"]


def test_every_part_that_stays_is_looked_after(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in ONCE:
            assert service["healthcheck"] == {"disable": True}
            continue
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries"} <= set(check), name
        assert service["restart"] == "unless-stopped"


def test_our_containers_can_do_no_more_than_they_must(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == ["weights:/srv/weights:ro"]
    assert compose["services"]["weights"]["volumes"] == ["weights:/srv/weights"]


def test_foreign_images_are_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" not in service:
            assert re.search(r":[A-Za-z]*\.?\d[\w.\-]*$", service["image"]), name


def test_the_broker_is_configured_as_the_service_needs_it(compose: dict[str, Any], tmp_path: Path) -> None:
    """Its command, run with a real Redis: the password is asked for, nothing is evicted and nothing kept; and
    who asks the process to stop reaches it.
    """
    (tmp_path / "data").mkdir()
    (tmp_path / "redis_password").write_text(PASSWORD)
    port = free_port()
    entry = tmp_path / "docker-entrypoint.sh"
    entry.write_text(f'#!/bin/sh\nshift\nexec "{binary()}" "$@" --port {port} --bind 127.0.0.1\n')
    entry.chmod(0o755)
    shell, option, command = compose["services"]["broker"]["command"]
    command = (
        command.replace("$$", "$").replace("/run/secrets", str(tmp_path)).replace("/data", f"{tmp_path}/data")
    )
    running = subprocess.Popen(
        [shell, option, command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.DEVNULL
    )
    try:
        asking: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "decode_responses": True,
            "retry": Retry(NoBackoff(), 0),
        }
        client = redis.Redis(password=PASSWORD, **asking)

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        assert eventually(answers)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(**asking).ping()
        wanted = {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert (tmp_path / "data" / "redis.conf").stat().st_mode & 0o077 == 0
        assert PASSWORD not in " ".join(psutil.Process(running.pid).cmdline())
    finally:
        running.terminate()
        assert running.wait(10) == 0


def test_targets_and_commands_are_those_of_the_images(compose: dict[str, Any]) -> None:
    for name in (*OURS, "weights"):
        build = compose["services"][name]["build"]
        assert (ROOT / build["dockerfile"]).is_file()
        assert build["target"] in stages()


def test_docker_compose_accepts_it() -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker here")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this docker has no compose")
    done = subprocess.run(
        [
            "docker",
            "compose",
            "-f",
            str(ROOT / "docker-compose.yml"),
            "--profile",
            "setup",
            "--profile",
            "observability",
            "config",
            "--quiet",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_secret_is_made_by_the_commands_of_the_documentation(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    """Under whatever mask for new files: Prometheus and Grafana have users of their own, who must read
    them.
    """
    text = (ROOT / "docs/operations.md").read_text()
    (commands,) = re.findall(r"^mkdir -m 700 secrets.*?(?=^sudo chown)", text, re.M | re.S)
    subprocess.run(["bash", "-ec", f"umask 077\n{commands}"], cwd=tmp_path, check=True, timeout=60)
    made = {file.name: file for file in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(compose["secrets"])
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in made.values())
    empty = [name for name, file in made.items() if not file.read_text().strip()]
    assert empty == ["recon_accepted_master_keys"]
    assert load_accepted_keys(value=None, file=made["recon_accepted_master_keys"]) == ()
    password = made["postgres_password"].read_text().strip()
    assert made["recon_database_url"].read_text() == f"postgresql://recon:{password}@database/recon"
