"""`recon operations`: the queue, and enrollments that were given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from recon_service.application.enrolling.operations import MAX_LISTED, list_dead, queue_states, retry_dead
from recon_service.application.keeping.audit import COMMAND_LINE
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import Lane, Operation
from recon_service.bootstrap import open_stores
from recon_service.domain.errors import Conflict, NotFound
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how much waits and works, and for how long the first has been waiting."""
    with _stores() as stores:
        lanes = queue_states(on=stores)
        dead = len(list_dead(on=stores, limit=MAX_LISTED))
        now = stores.clock()
    rows: list[dict[str, object]] = [
        {
            "lane": lane.lane.value,
            "waiting": lane.waiting,
            "running": lane.running,
            "unpublished": lane.unpublished,
            "oldest_seconds": max(0.0, round((now - lane.oldest).total_seconds(), 1))
            if lane.oldest
            else None,
        }
        for lane in lanes
    ]
    if as_json:
        typer.echo(json.dumps({"lanes": rows, "dead": dead}))
        return
    _print_table(rows)
    counted = f"{dead} or more" if dead == MAX_LISTED else dead
    typer.echo(f"given up: {counted}" + (" (see them with: recon operations dead)" if dead else ""))


@app.command()
def dead(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List enrollments that were given up for a fault of ours, and why."""
    with _stores() as stores:
        found = list_dead(on=stores, limit=limit)
    rows = [_fields(o) for o in found]
    if as_json:
        typer.echo(json.dumps(rows))
    elif rows:
        _print_table(rows)
    else:
        typer.echo("none")


@app.command()
def retry(
    operation_ids: Annotated[
        list[str] | None, typer.Argument(help="As `recon operations dead` shows them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
) -> None:
    """Let given-up enrollments wait again, with all their attempts. The exit status is 1 if one that was
    named cannot.
    """
    if not (every or operation_ids):
        raise typer.BadParameter("name an operation, or use --all")
    revived, refused = 0, 0
    with _stores() as stores:
        for operation_id in _all_dead(stores) if every else operation_ids or []:
            try:
                retry_dead(operation_id, on=stores, queue=_Outbox(), actor=COMMAND_LINE)
                revived += 1
            except (Conflict, NotFound) as fault:  # one of many: the others are tried all the same
                refused += 1
                typer.echo(f"{operation_id}: {fault.detail}. {fault.next_step}", err=True)
    typer.echo(f"{revived} waiting again", err=True)
    if refused and not every:
        raise typer.Exit(1)


def _all_dead(stores: Stores) -> Iterator[str]:
    """Each once, though there be more than a list holds: what is revived has left the list."""
    seen: set[str] = set()
    while found := [o for o in list_dead(on=stores, limit=MAX_LISTED) if o.operation_id not in seen]:
        for operation in found:
            seen.add(operation.operation_id)
            yield operation.operation_id


class _Outbox:
    """See ``ports.JobQueue``: the row waits in the outbox, and the relay of a service or worker finds it."""

    def ring(self) -> None:
        """Nobody here to wake."""

    def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
        """Not this command's part."""

    def waiting(self) -> int | None:
        """Unknown."""
        return None


@contextmanager
def _stores() -> Iterator[Stores]:
    opened = open_stores(Settings.from_environment())
    try:
        yield opened.stores
    finally:
        opened.close()


def _fields(operation: Operation) -> dict[str, object]:
    return {
        "operation": operation.operation_id,
        "given_up": operation.dead_at.isoformat(timespec="seconds") if operation.dead_at else "",
        "attempts": operation.attempts,
        "code": operation.problem.code if operation.problem else "",
        "detail": operation.problem.detail if operation.problem else "",
    }


def _print_table(rows: list[dict[str, object]]) -> None:
    from recon_service.cli.tables import print_table

    print_table(
        list(rows[0]), [["" if value is None else str(value) for value in row.values()] for row in rows]
    )
