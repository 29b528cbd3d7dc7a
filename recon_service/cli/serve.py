"""`recon serve`: API, queue and worker in one process."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one. Default: 8460.")] = None,
) -> None:
    """Start the service: API, queue and worker in one process.

    Without settings everything lies in the state folder (var/recon in a checkout): a SQLite database, a
    folder of encrypted objects, a development master key. The first start makes an API key for
    development and prints it once.
    """
    from recon_service.settings import Settings

    settings = Settings.from_environment(host=host, port=port)
    from recon_service.start_checks import check_compute

    check_compute(settings)
    from recon_service.telemetry import configure_logging

    configure_logging(level=settings.log_level, format=settings.log_format)
    from recon_service.api.server import serve

    serve(settings, announce=typer.echo)
