"""`recon kiosk`: the kiosk client, its cameras, checks and recordings."""

from __future__ import annotations

import json
import os
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT, EXIT_USAGE, stop
from recon_service.domain.errors import ReconError
from recon_service.kiosk.cameras import CameraSession, PictureKind, open_camera
from recon_service.kiosk.cameras.camera import DepthCamera
from recon_service.kiosk.cameras.checks import check_frames, require_plausible
from recon_service.kiosk.cameras.parameters import known_cameras, parameters_of
from recon_service.kiosk.cameras.recording import key_from_text

if TYPE_CHECKING:
    from recon_service.kiosk.edge_mode import SiteBundle
    from recon_service.kiosk.service import Service
    from recon_service.kiosk.visit import Kiosk, Moment, VisitLimits

app = typer.Typer(no_args_is_help=True)
REPORT_SECONDS = 60.0
EXIT_CODES = {"MATCH": 0, "NO_MATCH": 1, "PRESENTATION_ATTACK": 1, "INCONCLUSIVE": 4, "TIMED_OUT": 4}

CameraName = Annotated[
    str,
    typer.Option(
        help="realsense[:SERIAL], orbbec[:SERIAL], simulated[:SEED], a recorded folder, a .db3 or a .bag."
    ),
]
Picture = Annotated[PictureKind, typer.Option(help="What is shown beside depth.")]
CalledBy = Annotated[
    str | None, typer.Option("--calibration-name", help="How the service's calibration calls the camera.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        envvar="RECON_KIOSK_RECORDING_KEY_FILE", help="File with the 64 hexadecimal digits of a key."
    ),
]


@app.command()
def cameras() -> None:
    """List the cameras that are plugged in, and those whose parameters are known."""
    from recon_service.kiosk.cameras import orbbec, realsense

    console = Console()
    found = [("realsense", *one) for one in realsense.connected()]
    found += [("orbbec", *one) for one in orbbec.connected()]
    for kind, name, serial in found:
        console.print(escape(f"{kind}:{serial}  {name}"))
    if not found:
        console.print("No camera is plugged in.")
    table = Table("name", "camera", "range mm", "noise at 500 mm", box=None, header_style="dim")
    for known in known_cameras().values():
        measured = "" if known.measured else " (assumed)"
        span = f"{known.near_mm:g}-{known.far_mm:g}"
        table.add_row(known.name, known.title, span, f"{known.sd_at_500_mm:g} mm{measured}")
    console.print(table)


@app.command()
def check(
    camera: CameraName = "realsense",
    frames: Annotated[int, typer.Option(min=5, max=300, help="How many frames are looked at.")] = 30,
    picture: Picture = PictureKind.COLOR,
    calibration_name: CalledBy = None,
    key_file: KeyFile = None,
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a camera (units, range, alignment, noise, rate) and whether the service answers.

    Best with somebody half a meter before the camera; for the noise, with nothing that moves.

    For example:

      recon kiosk check --camera realsense
    """
    opened = _camera(camera, picture, calibration_name, key_file, paced=False, loop=True)
    with CameraSession(opened) as session:
        seen = list(session.frames(frames))
        name = opened.camera_name
    found = check_frames(seen, parameters_of(name))
    ready = _service_ready(url)
    if as_json:
        typer.echo(
            json.dumps({"camera": name, "service": ready, "checks": [asdict(c) for c in found]}, indent=1)
        )
    else:
        console = Console()
        console.print(escape(f"{name}: {len(seen)} frames of {seen[0].camera.width}x{seen[0].camera.height}"))
        for one in found:
            mark = {True: "[green]good[/]", False: "[red]bad [/]", None: "[dim]  - [/]"}[one.good]
            value = "" if one.value != one.value else f"{one.value:.3g} {one.unit}"
            console.print(
                f"{mark} {one.name}:", escape(f"{value}{'; ' if value and one.note else ''}{one.note}")
            )
        console.print("[green]good[/] service:" if ready else "[red]bad [/] service:", escape(url))
    require_plausible(found)
    if any(c.good is False for c in found) or not ready:
        raise typer.Exit(EXIT_FAULT)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    camera: CameraName = "realsense",
    frames: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 90,
    picture: Picture = PictureKind.COLOR,
    calibration_name: CalledBy = None,
    key_file: KeyFile = None,
    in_the_clear: Annotated[
        bool,
        typer.Option("--in-the-clear", help="Do not seal it: everybody may see who is on it."),
    ] = False,
) -> None:
    """Record frames of a camera into a folder, sealed with a key.

    For example:

      openssl rand -hex 32 > key && recon kiosk record visit-1 --key-file key
    """
    from recon_service.kiosk.cameras.recorder import Recorder

    key = None if in_the_clear else _key(key_file)
    opened = _camera(camera, picture, calibration_name, key_file, paced=True, loop=False)
    with Recorder(folder, key=key, in_the_clear=in_the_clear) as recorder, CameraSession(opened) as session:
        count = 0
        for frame in session.frames(frames):
            recorder.add(frame)
            count += 1
    typer.echo(f"{count} frames in {folder}, {'in the clear' if in_the_clear else 'sealed'}")


@app.command()
def run(
    camera: CameraName = "realsense",
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="One visit of this subject in the terminal, without a screen.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of the screen, on the loopback interface; 0: a free one.")] = 0,
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

    For example:

      recon kiosk run --camera realsense --url https://recon.example

      recon kiosk run --camera simulated --subject user-8c41
    """
    from recon_service.kiosk.offline import OfflinePolicy, WhenOffline
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
    opened = _camera(camera, picture, calibration_name, key_file, paced=True, loop=True)
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
            _serve(kiosk, opened, limits, port, open_page)


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


def _serve(kiosk: Kiosk, opened: DepthCamera, limits: VisitLimits, port: int, open_page: bool) -> None:
    import threading

    from recon_service.kiosk.screen.server import Screen
    from recon_service.kiosk.screen.state import Shown
    from recon_service.kiosk.station import Station

    # What cannot work shall say so before anybody stands there.
    with CameraSession(opened) as session:
        require_plausible(check_frames(list(session.frames(5)), parameters_of(opened.camera_name)))
    shown = Shown()
    shown.limits(limits.guide.near_mm, limits.guide.far_mm)
    station = Station(opened, kiosk, shown, log=lambda line: typer.echo(line, err=True))
    screen = Screen(shown, station.visit, station.cancel, port=port)
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


def _camera(
    named: str,
    picture: PictureKind,
    calibration_name: str | None,
    key_file: Path | None,
    *,
    paced: bool,
    loop: bool,
) -> DepthCamera:
    key = _key(key_file) if key_file is not None else None
    return open_camera(named, picture=picture, key=key, camera_name=calibration_name, paced=paced, loop=loop)


def _key(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return key_from_text(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        stop(EXIT_USAGE, f"{file} cannot be read.", "Make a key with: openssl rand -hex 32")


def _service_ready(url: str) -> bool:
    from recon_service.kiosk.service import Service, Times

    with Service(url, "", times=Times(connect=2.0, answer=2.0, visit=2.0)) as service:
        return service.reachable()
