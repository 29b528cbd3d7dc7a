"""What the commands of a kiosk have in common: which camera, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recon_service.cli.client import EXIT_USAGE, stop
from recon_service.kiosk.cameras import PictureKind, open_camera
from recon_service.kiosk.cameras.camera import DepthCamera
from recon_service.kiosk.cameras.recording import key_from_text

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


def camera_of(
    named: str,
    picture: PictureKind,
    calibration_name: str | None,
    key_file: Path | None,
    *,
    paced: bool,
    loop: bool,
) -> DepthCamera:
    """As the options say. Raises CameraError, RecordingUnreadable."""
    key = key_of(key_file) if key_file is not None else None
    return open_camera(named, picture=picture, key=key, camera_name=calibration_name, paced=paced, loop=loop)


def key_of(file: Path | None) -> bytes | None:
    """The key of a recording; ends the command where the file cannot be read."""
    if file is None:
        return None
    try:
        return key_from_text(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        stop(EXIT_USAGE, f"{file} cannot be read.", "Make a key with: openssl rand -hex 32")
