"""`recon worker`: a worker of its own, for a broker that several machines share."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    queues: Annotated[str, typer.Option(help="Queues to serve, in order.")] = "interactive,batch",
) -> None:
    """Start a worker beside a service whose RECON_BROKER_URL names a shared broker.

    The same as `celery -A worker.app worker`, with the settings of the service.
    """
    from recon_service.settings import Settings
    from recon_service.start_checks import check_compute
    from worker.standalone import make_worker_app

    settings = Settings.from_environment()
    check_compute(settings)
    app = make_worker_app(settings)
    app.worker_main(
        ["worker", "--queues", queues, "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    )
