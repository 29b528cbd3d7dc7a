"""What goes wrong in production, caused for real: each acknowledged enrollment ends all the same, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.integration.running import (
    Server,
    enroll,
    eventually,
    portrait_jpeg,
    selfies,
    wait_for_end,
)
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis_server import Redis
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.stacks import MASTER_KEY

QUICK = {
    "RECON_JOB_SILENCE_SECONDS": "3",
    "RECON_SWEEP_SECONDS": "0.5",
    "RECON_STALE_UPLOAD_SECONDS": "5",
}


@dataclass
class Plant:
    """A service with servers that may be broken."""

    server: Server
    postgres: Postgres
    redis: Redis
    objects: Proxy


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, s3_server: S3) -> Iterator[Plant]:
    postgres, redis, proxy = Postgres(), Redis(), Proxy(s3_server.port)
    try:
        postgres.start()
        settings = {
            **QUICK,
            "RECON_DATABASE_URL": postgres.url(postgres.make_database()),
            "RECON_OBJECT_STORE": f"s3://{s3_server.make_bucket()}/recon",
            "RECON_S3_ENDPOINT": f"http://127.0.0.1:{proxy.port}",
            "RECON_S3_ACCESS_KEY": ACCESS_KEY,
            "RECON_S3_SECRET_KEY": SECRET_KEY,
            "RECON_BROKER_URL": redis.start().url(),
            "RECON_MASTER_KEY": MASTER_KEY,
        }
        server = Server(tmp_path_factory.mktemp("faults") / "state", settings)
        proxy.start()
        server.start()
        try:
            yield Plant(server, postgres, redis, proxy)
        finally:
            server.stop()
    finally:
        proxy.close()
        redis.close()
        postgres.close()


@pytest.fixture
def client(plant: Plant) -> Iterator[httpx.Client]:
    with plant.server.client() as made:
        yield made


def send(client: httpx.Client, subject: str, *, width: int = 512) -> httpx.Response:
    return client.post(
        f"/v1/subjects/{subject}/enrollments",
        files=selfies(portrait_jpeg("grace_hopper", width)),
        data={"consent_id": "c"},
        headers={"Idempotency-Key": subject},
    )


def send_many(client: httpx.Client, name: str, count: int) -> list[str]:
    answers = [send(client, f"{name}-{n}") for n in range(count)]
    assert {a.status_code for a in answers} == {202}
    return [a.headers["location"] for a in answers]


def all_succeed_once(plant: Plant, client: httpx.Client, name: str, locations: list[str]) -> None:
    ends = [wait_for_end(client, location) for location in locations]
    assert {e["state"] for e in ends} == {"succeeded"}
    for n in range(len(locations)):
        assert len(client.get(f"/v1/subjects/{name}-{n}/templates").json()["templates"]) == 1
    assert eventually(lambda: list(plant.server.objects().list_keys("selfies/")) == [])


def test_without_redis_enrollments_are_taken_and_run_when_it_is_back(
    plant: Plant, client: httpx.Client
) -> None:
    plant.redis.server.kill()
    try:
        locations = send_many(client, "no-redis", 3)
        assert {client.get(x).json()["state"] for x in locations} == {"queued"}
        assert client.get("/readyz").status_code == 200, "it does what it is there for"
    finally:
        plant.redis.start()
    all_succeed_once(plant, client, "no-redis", locations)


def test_what_redis_forgets_is_published_again(plant: Plant, client: httpx.Client) -> None:
    locations = send_many(client, "flushed", 4)
    for _ in range(5):
        plant.redis.client().flushall()
        time.sleep(0.05)
    all_succeed_once(plant, client, "flushed", locations)


def test_a_redis_that_stalls_holds_up_nobody_who_enrolls(plant: Plant, client: httpx.Client) -> None:
    plant.redis.server.pause()
    try:
        locations = send_many(client, "stalled", 2)
    finally:
        plant.redis.server.resume()
    all_succeed_once(plant, client, "stalled", locations)


def test_postgresql_killed_and_started_again(plant: Plant, client: httpx.Client) -> None:
    locations = send_many(client, "restart", 3)
    plant.postgres.server.kill()
    try:
        refused = send(client, "restart-3")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").json()["parts"]["database"] == "storage-unavailable"
    finally:
        plant.postgres.start()
    again = send(client, "restart-3")
    assert again.status_code == 202, "the restart costs nobody an error"
    all_succeed_once(plant, client, "restart", [*locations, again.headers["location"]])


def test_an_object_store_that_refuses_and_one_that_is_slow(plant: Plant, client: httpx.Client) -> None:
    plant.objects.refuse()
    try:
        refused = send(client, "objects-0")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
    finally:
        plant.objects.start()
    plant.objects.delay_s = 0.2
    try:
        locations = send_many(client, "objects", 2)
        # What is under way when the store goes away is tried again when it is back, at no cost.
        plant.objects.refuse()
        time.sleep(0.5)
        plant.objects.start()
    finally:
        plant.objects.delay_s = 0.0
    all_succeed_once(plant, client, "objects", locations)


def test_a_killed_worker_is_noticed_and_its_work_taken_up(plant: Plant, client: httpx.Client) -> None:
    (worker,) = plant.server.crew
    locations = send_many(client, "killed", 6)
    assert eventually(lambda: client.get(locations[0]).json()["state"] != "queued", limit_s=30)
    worker.kill()
    worker.start()
    all_succeed_once(plant, client, "killed", locations)


def test_a_worker_that_is_asked_to_stop_ends_what_it_does(plant: Plant, client: httpx.Client) -> None:
    (worker,) = plant.server.crew
    locations = send_many(client, "asked", 4)
    assert eventually(lambda: client.get(locations[0]).json()["state"] != "queued", limit_s=30)
    assert worker.terminate() == 0
    states = [client.get(x).json() for x in locations]
    assert {s["state"] for s in states} <= {"queued", "succeeded"}, "nothing is left half done"
    worker.start()
    all_succeed_once(plant, client, "asked", locations)
    with plant.server.database() as db:
        assert db.scalar(sa.text("SELECT count(*) FROM operations WHERE state <> 'succeeded'")) == 0


def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", dict(QUICK)).start(ready=False)
    with server.client() as before:
        kept = send(before, "early").headers["location"]
        assert wait_for_end(before, kept)["state"] == "succeeded"
    server.stop()
    server.log.write_bytes(b"")  # of a slow machine it is longer than a file may be from now on
    server.largest_file = 200_000
    server.start(ready=False)
    try:
        with server.client() as full:
            refused = send(full, "late", width=2000)
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
            assert full.get(kept).json()["state"] == "succeeded"
    finally:
        server.stop()
    server.largest_file = None
    server.start(ready=False)
    try:
        with server.client() as after:
            assert enroll(after, "late", portrait_jpeg("grace_hopper"))["state"] == "succeeded"
            assert len(after.get("/v1/subjects/early/templates").json()["templates"]) == 1
            assert eventually(lambda: list(server.objects().list_keys("selfies/")) == [])
    finally:
        server.stop()
