"""`recon database`: where the schema stands, and the way back to that of an older version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import sqlalchemy as sa
import typer

from recon_service.settings import Settings
from recon_service.storage.engines import open_engine
from recon_service.storage.schema import HEAD, current_revision, downgrade
from recon_service.storage.state_lock import StateLock

app = typer.Typer(no_args_is_help=True)


@app.command()
def show() -> None:
    """Print the migration that the database stands at, and the one that this version makes it be."""
    with _engine(Settings.from_environment()) as engine:
        stands = current_revision(engine)
    typer.echo(f"the database stands at {stands or 'nothing'}; this version has {HEAD}")


@app.command("downgrade")
def go_back(
    revision: Annotated[
        str, typer.Argument(help="The migration of the older version: `recon database show`.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the database back to an older schema, before an older version is started. What only the newer
    one knows is lost. Make a backup first, and stop every process: while one runs, this is refused. Any
    command of this version that opens the database brings it forward again.
    """
    settings = Settings.from_environment()
    with _engine(settings) as engine:
        if not yes:
            typer.confirm(f"From {current_revision(engine)} back to {revision}?", abort=True, err=True)
        alone = StateLock(settings.state_dir).held() if settings.embedded else None
        downgrade(engine, revision, alone=alone)
    typer.echo(f"the database stands at {revision}; install the version that has it", err=True)


@contextmanager
def _engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = open_engine(settings.resolved_database_url)
    try:
        yield engine
    finally:
        engine.dispose()
