"""A camera by what somebody writes on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.cameras.camera import DepthCamera, PictureKind

KINDS: Final = ("realsense", "orbbec", "simulated")


def open_camera(
    named: str,
    *,
    picture: PictureKind = PictureKind.COLOR,
    key: bytes | None = None,
    camera_name: str | None = None,
    paced: bool = True,
    loop: bool = False,
) -> DepthCamera:
    """``realsense``, ``realsense:SERIAL``, ``orbbec``, ``orbbec:SERIAL``, ``simulated``,
    ``simulated:SEED``, or the path of a recorded folder, a .db3 (RealSense) or a .bag (Orbbec). The camera
    is not started.

    key: of a sealed recording. paced, loop: how recorded folders are played. Raises InvalidValue.
    """
    kind, _, which = named.partition(":")
    if kind == "realsense":
        from recon_service.kiosk.cameras.realsense import RealSenseCamera

        return RealSenseCamera(serial=which or None, picture=picture, camera_name=camera_name)
    if kind == "orbbec":
        from recon_service.kiosk.cameras.orbbec import OrbbecCamera

        return OrbbecCamera(serial=which or None, picture=picture, camera_name=camera_name)
    if kind == "simulated":
        from recon_service.kiosk.cameras.scenes import HeadScene
        from recon_service.kiosk.cameras.simulated import SimulatedCamera

        if which and not which.isdigit():
            raise InvalidValue("simulated:SEED takes a number")
        return SimulatedCamera(HeadScene(seed=int(which or 0)), paced=paced)
    path = Path(named)
    if path.suffix == ".db3":
        from recon_service.kiosk.cameras.realsense import RealSenseCamera

        return RealSenseCamera(recording=path, picture=picture, camera_name=camera_name, paced=paced)
    if path.suffix == ".bag":
        from recon_service.kiosk.cameras.orbbec import OrbbecCamera

        return OrbbecCamera(recording=path, picture=picture, camera_name=camera_name)
    if not path.is_dir():
        raise InvalidValue(
            f"there is no camera {named!r}",
            next_step=f"One of {', '.join(KINDS)}, or the path of a recording; see `recon kiosk cameras`.",
        )
    from recon_service.kiosk.cameras.files import FileCamera

    return FileCamera(path, key=key, paced=paced, loop=loop)
