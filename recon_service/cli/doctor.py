"""`recon doctor`: does everything work that the settings name?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import typer

from recon_service.domain.errors import ReconError
from recon_service.settings import Settings


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, keys, database, objects, broker and model files; the exit status is 1 if one fails.

    It opens what `recon serve` would open, with the same settings, and starts nothing. A database of an
    older version is brought to the newest schema, as a start would do.
    """
    settings = Settings.from_environment()
    results: list[dict[str, object]] = []
    for name, check in _checks(settings):
        if name == "master key" and not results[-1]["ok"]:
            continue  # it is held against the database
        results.append(_try(name, check))
        if name == "connections" and not results[-1]["ok"]:
            break  # nothing is connected to in the open, not even to see whether it answers
    if as_json:
        typer.echo(json.dumps(results))
    else:
        for result in results:
            mark, color = ("ok", "green") if result["ok"] else ("failed", "red")
            typer.echo(f"{typer.style(f'{mark:<6}', fg=color)}  {result['part']:<11} {result['detail']}")
            if result["next_step"]:
                typer.echo(f"{'':21}{result['next_step']}")
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


def _checks(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    from recon_service.start_checks import check_appearance, check_matching, check_policy

    return [
        ("connections", lambda: _connections(settings)),
        ("database", lambda: _database(settings)),
        ("master key", lambda: _master_key(settings)),
        ("objects", lambda: _objects(settings)),
        ("broker", lambda: _broker(settings)),
        ("models", lambda: _models(settings)),
        ("detector", lambda: _detector(settings)),
        ("policy", lambda: check_policy(settings)),
        ("appearance", lambda: check_appearance(settings)),
        ("matching", lambda: check_matching(settings)),
    ]


def _try(name: str, check: Callable[[], str]) -> dict[str, object]:
    begun = time.perf_counter()
    try:
        detail, step, works = check(), "", True
    except ReconError as fault:
        detail, step, works = f"{fault.detail} [{fault.code}]", fault.next_step, False
    milliseconds = round(1000 * (time.perf_counter() - begun))
    return {"part": name, "ok": works, "detail": detail, "next_step": step, "ms": milliseconds}


def _connections(settings: Settings) -> str:
    from recon_service.bootstrap import refuse_insecure_connections

    refuse_insecure_connections(settings)
    return (
        "insecure ones are allowed by RECON_ALLOW_INSECURE_CONNECTIONS"
        if (settings.allow_insecure_connections)
        else "nothing leaves this machine without TLS and password"
    )


def _master_key(settings: Settings) -> str:
    from recon_service.bootstrap import open_stores
    from recon_service.storage.master_key import Origin

    opened = open_stores(settings)
    opened.close()
    return {
        Origin.CONFIGURED: "yours",
        Origin.DEVELOPMENT: "made for development; it lies beside what it protects",
    }[opened.master_key_origin]


def _database(settings: Settings) -> str:
    from recon_service.bootstrap import open_database
    from recon_service.storage.schema import HEAD

    database = open_database(settings)
    try:
        database.check()
        return f"{database.engine.dialect.name}, migration {HEAD}"
    finally:
        database.close()


def _objects(settings: Settings) -> str:
    from recon_service.bootstrap import open_objects

    open_objects(settings).check()
    return "S3 bucket, writable" if settings.object_store.startswith("s3:") else "folder, writable"


def _broker(settings: Settings) -> str:
    from worker.app import make_app
    from worker.queue import CeleryQueue

    waiting = CeleryQueue(make_app(settings)).waiting()
    return "in memory" if settings.embedded else f"answers; {waiting} messages wait"


def _models(settings: Settings) -> str:
    from recon_service.assembly import ModelChoice, load_model

    return load_model(ModelChoice(settings.model)).name


def _detector(settings: Settings) -> str:
    from recon_service.detectors import check_detector

    check_detector(settings.detector)
    return settings.detector
