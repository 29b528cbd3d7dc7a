from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from recon_service.bootstrap import open_stores
from recon_service.domain.errors import Conflict, InsecureConfiguration
from recon_service.settings import Settings
from recon_service.telemetry.exposition import MetricsServer, metrics_token, open_metrics, refuse_open_metrics
from recon_service.telemetry.memory import resident_bytes
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.names import NAMES
from recon_service.telemetry.standing import Standing
from tests.integration.running import eventually
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.stacks import Embedded, settings_for


def values(text: bytes) -> dict[str, float]:
    return {
        f"{s.name}{sorted(s.labels.items())}": s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    }


def test_every_name_follows_the_rules_and_is_there_once() -> None:
    assert len({name.name for name in NAMES}) == len(NAMES)
    for name in NAMES:
        assert name.name.startswith("recon_")
        assert not name.name.endswith("_total"), "the client adds it"
        assert name.help.endswith(".")
        assert (name.kind == "histogram") == bool(name.buckets)
        assert list(name.buckets) == sorted(set(name.buckets))


def test_a_label_that_takes_too_many_values_says_other() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.problem(f"code-{number}")
    found = values(metrics.text())
    assert found["recon_problems_total[('code', 'other')]"] == 800
    assert sum(name.startswith("recon_problems_total") for name in found) == 201
    metrics.request(method="BREW", route="unmatched", status=405, seconds=0.01)
    assert any("'other'), ('route', 'unmatched')" in name for name in values(metrics.text()))


def test_a_version_that_is_no_longer_in_force_is_zero() -> None:
    metrics = Metrics()
    metrics.versions("verification", {"model": "m1", "calibration": "a@1", "policy": "p", "detector": "d"})
    metrics.versions("enrollment", {"model": "m1", "calibration": "a@1", "policy": "p", "detector": "d"})
    metrics.versions("verification", {"model": "m2", "calibration": "b@2", "policy": "p", "detector": "d"})
    found = {name: v for name, v in values(metrics.text()).items() if name.startswith("recon_versions")}
    assert sorted(found.values()) == [0, 1, 1]
    assert [v for name, v in found.items() if "m2" in name] == [1]


WORKER = """
import os, sys
from pathlib import Path
from recon_service.telemetry.metrics import Metrics
metrics = Metrics(folder=Path(sys.argv[1]))
metrics.problem("not-found")
metrics.stage("enrollment", "fitting", 0.2)
metrics.versions("enrollment", {"model": sys.argv[2]})
if os.fork() == 0:  # as a pool does
    metrics.problem("not-found")
    metrics.stage("enrollment", "fitting", 0.3)
    os._exit(0)
os.wait()
if len(sys.argv) > 3:
    sys.stdout.buffer.write(metrics.text())
"""


def test_processes_of_a_worker_count_together_also_those_that_are_gone(tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PROMETHEUS")}
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    subprocess.run([*command, "old-model"], env=clean, check=True, timeout=60)
    done = subprocess.run([*command, "m", "tell"], env=clean, check=True, timeout=60, capture_output=True)
    found = values(done.stdout)
    assert found["recon_problems_total[('code', 'not-found')]"] == 4
    assert found["recon_stage_seconds_count[('stage', 'fitting'), ('work', 'enrollment')]"] == 4
    assert found["recon_stage_seconds_sum[('stage', 'fitting'), ('work', 'enrollment')]"] == pytest.approx(
        1.0
    )
    models = [name for name, value in found.items() if name.startswith("recon_versions") and value]
    assert len(models) == 1, "what a process ran that is gone is not in force"
    assert "'m'" in models[0]


def test_nobody_else_reads_numbers_without_a_token() -> None:
    for host in ("0.0.0.0", "::", "", "10.0.0.5", "metrics.example"):
        with pytest.raises(InsecureConfiguration):
            refuse_open_metrics(host, "")
        with pytest.raises(InsecureConfiguration):
            refuse_open_metrics(host, "short")
        refuse_open_metrics(host, "a-token-that-is-long-enough")
    for host in ("127.0.0.1", "localhost", "::1"):
        refuse_open_metrics(host, "")


def test_the_server_answers_only_what_it_is_for(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    settings = Settings(metrics_token_file=token)
    server = MetricsServer(
        lambda: b"recon_build 1\n", host="127.0.0.1", port=0, token=metrics_token(settings)
    )
    server.start()
    try:
        base = f"http://127.0.0.1:{server.port}"
        right = {"Authorization": "Bearer 0123456789abcdef0123"}
        assert httpx.get(f"{base}/metrics").status_code == 401
        answer = httpx.get(f"{base}/metrics", headers=right)
        assert (answer.status_code, answer.text) == (200, "recon_build 1\n")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert httpx.get(f"{base}/", headers=right).status_code == 404
        assert httpx.post(f"{base}/metrics", headers=right).status_code == 501
        with pytest.raises(Conflict):
            MetricsServer(lambda: b"", host="127.0.0.1", port=server.port)
    finally:
        server.stop()
    assert open_metrics(Settings(), lambda: b"") is None, "off unless asked for"
    with pytest.raises(InsecureConfiguration):
        metrics_token(Settings(metrics_token_file=tmp_path / "missing"))


def test_children_get_no_token(tmp_path: Path) -> None:
    secret = Settings(metrics_token="hush-hush-metrics-token", traces_headers="k=hush-hush")
    assert "hush" not in repr(secret.without_secrets().model_dump())


def test_a_database_that_is_away_is_a_number_too(tmp_path: Path) -> None:
    opened = open_stores(settings_for(Embedded(), tmp_path))
    moment = 0.0
    standing = Standing(opened.stores, clock=lambda: moment)
    metrics = Metrics()
    assert values(metrics.text([standing]))["recon_database_up[]"] == 1
    broken = dataclasses.replace(opened.stores)
    opened.close()
    for file in tmp_path.glob("recon.sqlite3*"):
        file.unlink()
    (tmp_path / "recon.sqlite3").mkdir()
    assert broken.database is opened.stores.database
    assert values(metrics.text([standing]))["recon_database_up[]"] == 1, "asked once in two seconds"
    moment = 3.0
    found = values(metrics.text([standing]))
    assert found["recon_database_up[]"] == 0
    assert not any(name.startswith("recon_queue") for name in found)


def test_a_database_that_stalls_holds_up_no_numbers(postgres: Postgres, tmp_path: Path) -> None:
    """Its connections stay open and nothing comes back: as many as ask are answered, and one thread hangs."""
    proxy = Proxy(postgres.port).start()
    with postgres.database() as url:
        through = url.replace(f":{postgres.port}/", f":{proxy.port}/")
        opened = open_stores(settings_for(Embedded(), tmp_path, database_url=through))
        standing = Standing(opened.stores, clock=itertools.count(0, 10).__next__, patience_s=0.2)
        metrics = Metrics()
        metrics.problem("not-found")
        assert values(metrics.text([standing]))["recon_database_up[]"] == 1
        proxy.stalled = True
        before = threading.active_count()
        for _ in range(5):
            found = values(metrics.text([standing]))
            assert found["recon_database_up[]"] == 0
            assert found["recon_problems_total[('code', 'not-found')]"] == 1
            assert not any(name.startswith("recon_queue") for name in found)
        assert threading.active_count() <= before + 1
        proxy.stalled = False
        assert eventually(lambda: values(metrics.text([standing]))["recon_database_up[]"] == 1)
        opened.close()
    proxy.close()


def test_memory_of_a_process_and_of_what_it_started() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        assert resident_bytes(os.getpid())["head"] > 20e6
        assert eventually(lambda: resident_bytes(os.getpid())["below"] > 1e6)
    finally:
        child.kill()
        child.wait()
    assert resident_bytes(2**22 + 1) == {}
