from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from celery import Celery

from recon_service.application.records.operations import Lane
from recon_service.domain.errors import InsecureConfiguration
from recon_service.settings import Settings
from worker.app import BATCH, INTERACTIVE, make_app
from worker.embedded import EmbeddedWorkers
from worker.queue import ENROLL, WAKE, CeleryQueue
from worker.standalone import make_worker_app


@pytest.fixture
def app() -> Iterator[Celery]:
    made = make_app(Settings())
    with made.connection_for_write() as connection:
        for queue in made.conf.task_queues:
            queue(connection.default_channel).declare()
            queue(connection.default_channel).purge()
    yield made
    made.close()


def test_messages_hold_an_id_and_nothing_else(app: Celery) -> None:
    CeleryQueue(app).publish_enrollment("op_1", Lane.INTERACTIVE)
    CeleryQueue(app).publish_enrollment("op_2", Lane.BATCH)
    with app.connection_for_read() as connection:
        for name, operation_id in ((INTERACTIVE, "op_1"), (BATCH, "op_2")):
            (queue,) = (q for q in app.conf.task_queues if q.name == name)
            message = queue(connection.default_channel).get(no_ack=True)
            assert message.content_type == "application/json"
            assert message.headers["task"] == ENROLL
            arguments, keywords, _ = json.loads(message.body)
            assert (arguments, keywords) == ([operation_id], {})


def test_the_manners_that_keep_jobs_from_being_lost_or_doubled() -> None:
    shared = make_app(Settings(broker_url="redis://localhost:6379/0", enrollment_seconds=120)).conf
    assert shared.task_acks_late
    assert not shared.task_reject_on_worker_lost
    assert shared.task_ignore_result
    assert shared.accept_content == ["json"]
    assert shared.worker_prefetch_multiplier == 1
    assert shared.broker_transport_options["visibility_timeout"] > 2 * 120


def test_embedded_workers_work_at_once_and_stop_soon(app: Celery) -> None:
    seen: list[tuple[str, str]] = []
    both = threading.Barrier(2, timeout=5)

    @app.task(name=ENROLL)
    def enroll(operation_id: str) -> None:
        both.wait()
        seen.append((operation_id, threading.current_thread().name))

    @app.task(name=WAKE)
    def wake() -> None:
        pass

    workers = EmbeddedWorkers(app, count=2)
    workers.start()
    for n in range(4):
        CeleryQueue(app).publish_enrollment(f"op_{n}", Lane.INTERACTIVE)
    deadline = time.monotonic() + 5
    while len(seen) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(i for i, _ in seen) == ["op_0", "op_1", "op_2", "op_3"]
    assert len({name for _, name in seen}) == 2
    assert workers.alive
    assert workers.stop(limit_s=10)
    assert not workers.alive


def test_a_worker_of_its_own_needs_a_shared_broker() -> None:
    with pytest.raises(InsecureConfiguration, match="shares with the service"):
        make_worker_app(Settings())


def test_the_celery_command_finds_its_application_and_nothing_else() -> None:
    import worker.app

    with pytest.raises(AttributeError):
        worker.app.__getattr__("other")
