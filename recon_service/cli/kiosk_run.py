"""`recon kiosk run`: visits before a screen, or one in the terminal."""

from __future__ import annotations

import json
import os
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT, EXIT_USAGE, stop
from recon_service.cli.kiosk_options import CalledBy, CameraName, KeyFile, Picture, camera_of
from recon_service.domain.errors import ReconError
from recon_service.kiosk.cameras import CameraSession, PictureKind
from recon_service.kiosk.cameras.camera import DepthCamera
from recon_service.kiosk.cameras.checks import check_frames, require_plausible
from recon_service.kiosk.cameras.parameters import parameters_of

if TYPE_CHECKING:
    from recon_service.kiosk.edge_mode import SiteBundle
    from recon_service.kiosk.service import Service
    from recon_service.kiosk.visit import Kiosk, Moment, VisitLimits

REPORT_SECONDS = 60.0
EXIT_CODES = {"MATCH": 0, "NO_MATCH": 1, "PRESENTATION_ATTACK": 1, "INCONCLUSIVE": 4, "TIMED_OUT": 4}


def command(
    camera: CameraName = "realsense",
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="One visit of this subject in the terminal, without a screen.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the screen, on the loopback interface; 0: a free one.")
    ] = 0,
    page_token: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps the token of the screen's address, so that with --port it stays the same; "
            "made at the first start."
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the screen in a browser.")] = False,
    picture: Picture = PictureKind.COLOR,
    calibration_name: CalledBy = None,
    key_file: KeyFile = None,
    max_kilobytes: Annotated[int, typer.Option(min=50, help="That one verification may send.")] = 300,
    client_certificate: Annotated[
        Path | None, typer.Option(help="For mutual TLS, with --client-key.", exists=True)
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(help="Private key of the certificate.", exists=True)
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="Certificates to trust instead of the system's.", exists=True)
    ] = None,
    edge_folder: Annotated[
        Path | None, typer.Option(help="Edge mode: folder for its state; with the four options that follow.")
    ] = None,
    edge_keys: Annotated[Path | None, typer.Option(help="Keys of the kiosk (recon edge keys).")] = None,
    edge_site: Annotated[str, typer.Option(help="Name of the site.")] = "",
    edge_kiosk: Annotated[str, typer.Option(help="Id of the kiosk (recon edge register).")] = "",
    edge_trusted: Annotated[str, typer.Option(help="Public key of the service.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="With --subject: print the result as JSON.")
    ] = False,
) -> None:
    """Run a kiosk: a full-screen page for the person, and visits on request of the till.

    Prints the address of the page. With --subject, one visit in the terminal; exit codes: 0 match, 1 no
    match or an attack, 4 inconclusive, 3 no decision.
    """
    from recon_service.kiosk.offline import OfflinePolicy, WhenOffline
    from recon_service.kiosk.screen.address import kept_token
    from recon_service.kiosk.seen_face import on_this_device
    from recon_service.kiosk.service import Service, Times
    from recon_service.kiosk.visit import Kiosk, VisitLimits

    secret = api_key or os.environ.get("RECON_API_KEY")
    if not secret:
        stop(EXIT_USAGE, "No API key.", "Set RECON_API_KEY, or use --api-key; its scope is verify.")
    if (client_certificate is None) != (client_key is None):
        stop(
            EXIT_USAGE, "A certificate needs its key.", "Give --client-certificate and --client-key together."
        )
    pair = (str(client_certificate), str(client_key)) if client_certificate and client_key else None
    opened = camera_of(camera, picture, calibration_name, key_file, paced=True, loop=True)
    limits = VisitLimits(max_bytes=1000 * max_kilobytes)
    # With something else to decide, nobody is kept waiting for a service that is not there.
    times = Times() if edge_folder is None else Times(visit=4.0)
    trust = str(authority) if authority else None
    with Service(url, secret, times=times, certificate=pair, authority=trust) as service:
        bundle = _site_bundle(service, edge_folder, edge_keys, edge_site, edge_kiosk, edge_trusted)
        offline = OfflinePolicy(WhenOffline.REFUSE if bundle is None else WhenOffline.BUNDLE)
        kiosk = Kiosk(on_this_device(), service, limits=limits, offline=offline, bundle=bundle)
        if subject is not None:
            _one_visit(kiosk, opened, subject, as_json)
        else:
            _check_key(service)
            token = "" if page_token is None else kept_token(page_token)
            _serve(kiosk, opened, limits, port, token, open_page)


def _check_key(service: Service) -> None:
    """What cannot work shall say so before anybody stands there; a service that is away may come back."""
    from recon_service.kiosk.errors import ServiceBusy, ServiceUnreachable

    try:
        service.require_admitted()
    except (ServiceUnreachable, ServiceBusy) as fault:
        typer.echo(f"{fault.title}: {fault.detail}. {fault.next_step}", err=True)


def _one_visit(kiosk: Kiosk, opened: DepthCamera, subject: str, as_json: bool) -> None:
    said = ""

    def show(moment: Moment) -> None:
        nonlocal said
        if moment.advice.value != said and not as_json:
            said = moment.advice.value
            far = "" if moment.face is None else f" ({moment.face.distance_mm:.0f} mm)"
            typer.echo(f"{said}{far}", err=True)

    try:
        with CameraSession(opened) as session:
            result = kiosk.visit(subject, session.frames(), show=show)
    except ReconError as fault:
        stop(EXIT_FAULT, f"{fault.title}: {fault.detail}", fault.next_step)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        took = result.milliseconds.get("capture to decision")
        typer.echo(f"{result.decision}" + (f" in {took:.0f} ms, {result.bytes_sent:,} bytes" if took else ""))
        for code, hint in result.reasons:
            typer.echo(f"  {code}: {hint}")
    raise typer.Exit(EXIT_CODES.get(result.decision, EXIT_FAULT))


def _serve(
    kiosk: Kiosk, opened: DepthCamera, limits: VisitLimits, port: int, token: str, open_page: bool
) -> None:
    import threading

    from recon_service.kiosk.screen.server import Screen
    from recon_service.kiosk.screen.state import Shown
    from recon_service.kiosk.station import Station

    with CameraSession(opened) as session:
        require_plausible(check_frames(list(session.frames(5)), parameters_of(opened.camera_name)))
    shown = Shown()
    shown.limits(limits.guide.near_mm, limits.guide.far_mm)
    station = Station(opened, kiosk, shown, log=lambda line: typer.echo(line, err=True))
    try:
        screen = Screen(shown, station.visit, station.cancel, port=port, token=token)
    except OSError as fault:
        stop(EXIT_FAULT, f"The screen cannot use port {port}: {fault.strerror}.", "Name another with --port.")
    typer.echo(screen.url)
    if open_page:
        webbrowser.open(screen.url)
    try:
        while True:
            station.report()
            threading.Event().wait(REPORT_SECONDS)
    finally:
        screen.close()


def _site_bundle(
    service: Service,
    folder: Path | None,
    keys: Path | None,
    site: str,
    kiosk_id: str,
    trusted: str,
) -> SiteBundle | None:
    """What decides without the service, or None where edge mode is not asked for."""
    if folder is None:
        return None
    if keys is None or not (site and kiosk_id and trusted):
        stop(
            EXIT_USAGE,
            "Edge mode needs --edge-keys, --edge-site, --edge-kiosk and --edge-trusted.",
            "`recon edge register` prints the last two.",
        )
    from recon_service.edge import KioskKeys
    from recon_service.kiosk.edge_mode import Line, SiteBundle

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SiteBundle(folder, KioskKeys.load(keys), Line(service, site, kiosk_id), trusted=trusted)
