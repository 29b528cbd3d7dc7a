"""The command `recon`: one sub-command per file of this folder, imported only when it is asked for."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import typer

from recon_service import __version__
from recon_service.cli.examples import EXAMPLES, ROOT, epilog
from recon_service.domain.errors import ReconError


@dataclass(frozen=True)
class Command:
    """A sub-command: its module has either ``command`` (a function) or ``app`` (a Typer application)."""

    panel: str
    name: str
    module: str
    help: str


BEGIN, KIOSK, OPERATIONS, RESEARCH = "Begin here", "Kiosks", "Operations", "Measuring"

COMMANDS = (
    Command(
        BEGIN, "demo", "recon_service.cli.demo", "Show the whole path: enroll, fit, verify, with pictures."
    ),
    Command(
        BEGIN, "serve", "recon_service.cli.serve", "Start the service: API, queue and worker in one process."
    ),
    Command(
        BEGIN,
        "enroll",
        "recon_service.cli.enroll",
        "Enroll a subject from selfies, through a running service.",
    ),
    Command(
        BEGIN, "verify", "recon_service.cli.verify", "Verify a depth capture, through a running service."
    ),
    Command(
        BEGIN,
        "fit",
        "recon_service.cli.fit",
        "Fit selfies to a 3D identity: files in, pictures and meshes out.",
    ),
    Command(
        BEGIN, "doctor", "recon_service.cli.doctor", "Check settings, keys, database, objects and broker."
    ),
    Command(BEGIN, "weights", "recon_service.cli.weights", "List, pull, verify and build model files."),
    Command(
        BEGIN, "backends", "recon_service.cli.backends", "List the reconstruction models that can run here."
    ),
    Command(
        KIOSK, "kiosk", "recon_service.cli.kiosk", "Run a kiosk: camera, screen, decision; check cameras."
    ),
    Command(KIOSK, "edge", "recon_service.cli.edge", "Bundles with which kiosks verify without the service."),
    Command(
        OPERATIONS, "keys", "recon_service.cli.keys", "Make, list and revoke API keys; rotate the master key."
    ),
    Command(OPERATIONS, "limits", "recon_service.cli.limits", "List lock-outs, and lift them."),
    Command(OPERATIONS, "audit", "recon_service.cli.audit", "Read the audit log, and check its chain."),
    Command(
        OPERATIONS, "subjects", "recon_service.cli.subjects", "List and delete subjects; mend a restore."
    ),
    Command(
        OPERATIONS,
        "templates",
        "recon_service.cli.templates",
        "Versions of templates; export and import them.",
    ),
    Command(
        OPERATIONS,
        "batch",
        "recon_service.cli.batch",
        "Derive templates anew: submit, watch, activate, roll back.",
    ),
    Command(
        OPERATIONS, "models", "recon_service.cli.models", "What workers run, and what made which templates."
    ),
    Command(OPERATIONS, "bulk", "recon_service.cli.bulk_enroll", "Enroll many people from an index."),
    Command(
        OPERATIONS,
        "worker",
        "recon_service.cli.worker",
        "Start a worker beside a service with a shared broker.",
    ),
    Command(
        OPERATIONS,
        "operations",
        "recon_service.cli.operations",
        "Look at the queue; retry enrollments given up.",
    ),
    Command(
        OPERATIONS, "database", "recon_service.cli.database", "Where the schema stands; back to an older one."
    ),
    Command(
        RESEARCH,
        "evaluate",
        "recon_service.cli.evaluate",
        "Measure error rates on recorded or simulated people.",
    ),
    Command(RESEARCH, "bench", "recon_service.cli.bench", "Measure face detectors side by side."),
    Command(
        RESEARCH,
        "calibrate",
        "recon_service.cli.calibrate",
        "Learn how evidence errs, from people of a dataset.",
    ),
    Command(
        RESEARCH, "policies", "recon_service.cli.policies", "List the policies and check what they claim."
    ),
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application for these command-line arguments: only the sub-command they name is imported.

    Importing every sub-command would load OpenCV, SciPy and the web framework before `recon --help` could
    print a line.
    """
    app = typer.Typer(
        name="recon",
        pretty_exceptions_show_locals=False,  # locals may hold images or keys
        rich_markup_mode="rich",
    )
    app.callback(
        help="3D face identity: enrolled from selfies, verified against depth captures.",
        invoke_without_command=True,
        epilog=epilog(ROOT),
    )(_root)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for command in COMMANDS:
        if command.name != wanted:
            app.command(command.name, help=command.help, rich_help_panel=command.panel)(_placeholder)
            continue
        shown = epilog(EXAMPLES[command.name])
        module = importlib.import_module(command.module)
        if hasattr(module, "command"):
            told = _flowing(module.command.__doc__ or command.help)
            app.command(command.name, help=told, epilog=shown)(module.command)
        else:
            _tell(module.app, command.name)
            app.add_typer(module.app, name=command.name, help=command.help, epilog=shown)
    return app


def _tell(group: typer.Typer, path: str) -> None:
    """Give every command below a group its text and its examples."""
    for info in group.registered_commands:
        callback = cast(Callable[..., object], info.callback)
        name = info.name or callback.__name__.replace("_", "-")
        info.help = _flowing(info.help or callback.__doc__ or "")
        info.epilog = epilog(EXAMPLES[f"{path} {name}"])
    for below in group.registered_groups:
        _tell(cast(typer.Typer, below.typer_instance), f"{path} {below.name}")


def _flowing(text: str) -> str:
    """Paragraphs of one line each: Typer keeps the source's line breaks, whatever the terminal's width."""
    return "\n\n".join(" ".join(p.split()) for p in inspect.cleandoc(text).split("\n\n"))


def main() -> None:
    """Run the command line; an error of ours, or a file that is not there, ends it with its title, its detail
    and what to do next.
    """
    arguments = sys.argv[1:]
    try:
        build_app(_words(arguments))(arguments, prog_name="recon")
    except ReconError as error:
        typer.secho(f"{error.title} [{error.code}]", fg="red", err=True)
        typer.echo(error.detail, err=True)
        if error.next_step:
            typer.echo(error.next_step, err=True)
        sys.exit(1)
    except OSError as fault:
        if not fault.filename:
            raise
        typer.secho("A file cannot be used", fg="red", err=True)
        typer.echo(f"{fault.filename}: {fault.strerror}", err=True)
        typer.echo("Correct its name, or the rights to it.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _words(arguments: Sequence[str]) -> Sequence[str]:
    """The words of the command line; while a shell completes it (`recon --install-completion`), those that
    stand there so far.
    """
    if "_RECON_COMPLETE" not in os.environ:
        return arguments
    return os.environ.get("_TYPER_COMPLETE_ARGS", os.environ.get("COMP_WORDS", "")).split()[1:]


def _placeholder() -> None:
    """Stand in the list of commands for one that was not asked for."""


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
