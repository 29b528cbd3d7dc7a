"""Orbbec cameras through the maker's SDK (pyorbbecsdk2): a device, or a .bag that the SDK recorded.

As with RealSense the depth map stays as it was measured, and the SDK's alignment brings the picture to it.
The SDK's recommended filters are not applied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.kiosk.cameras.camera import READ_SECONDS, CameraFrame, PictureKind, not_started
from recon_service.kiosk.cameras.lens import Distortion
from recon_service.kiosk.cameras.orbbec_sdk import FrameSource, PipelineSource, sdk
from recon_service.kiosk.cameras.parameters import name_of_product
from recon_service.kiosk.errors import (
    CameraStalled,
    WrongStream,
)

TRIES: Final = 30
STRAIGHT: Final[Distortion] = (0.0, 0.0, 0.0, 0.0, 0.0)


class OrbbecCamera:
    """A camera of the Orbbec family.

    serial: of the device; None takes the first. recording: a .bag of the SDK instead. source: sets of
    frames instead of both. size, fps: of the depth stream, None for the device's default. picture: COLOR,
    INFRARED or NONE. camera_name: by which the calibration knows it, None for the product's.
    """

    def __init__(
        self,
        *,
        serial: str | None = None,
        recording: Path | None = None,
        source: FrameSource | None = None,
        size: tuple[int, int] | None = None,
        fps: int | None = None,
        picture: PictureKind = PictureKind.COLOR,
        camera_name: str | None = None,
    ) -> None:
        self._picture, self._name = picture, camera_name
        self._given = source
        self._made = lambda: PipelineSource(serial, recording, size, fps, picture)
        self._source: FrameSource | None = None
        self._align: Any = None

    @property
    def camera_name(self) -> str:
        if self._name is None and self._source is not None:
            return name_of_product(self._source.product())
        return self._name or "generic"

    def start(self) -> None:
        self.stop()
        ob = sdk()
        source = self._given or self._made()
        source.start()
        self._source = source
        self._align = ob.AlignFilter(ob.OBStreamType.DEPTH_STREAM)

    def read(self, timeout_s: float = READ_SECONDS) -> CameraFrame | None:
        if self._source is None:
            raise not_started()
        for _ in range(TRIES):
            frames = self._source.wait_for_frames(max(1, round(1000 * timeout_s)))
            if frames is None:
                if self._source.over():
                    return None
                raise CameraStalled(
                    f"no frame within {timeout_s:g} s", next_step="Check the cable and its power."
                )
            found = self._frame(frames)
            if found is not None:
                return found
        raise CameraStalled(
            "depth and picture do not come together", next_step="Check that both streams have one frame rate."
        )

    def stop(self) -> None:
        if self._source is not None:
            self._source.stop()
        self._source = None

    def _frame(self, frames: Any) -> CameraFrame | None:
        depth = frames.get_depth_frame()
        if depth is None:
            return None
        picture = None
        if self._picture is PictureKind.COLOR:
            if frames.get_color_frame() is None:
                return None
            aligned = self._align.process(_unpacked(frames))
            if aligned is None:
                raise WrongStream(
                    "the SDK cannot align color with depth", next_step="Choose other stream sizes."
                )
            aligned = aligned.as_frame_set()
            depth, color = aligned.get_depth_frame(), aligned.get_color_frame()
            picture = _rgb(color)
        elif self._picture is PictureKind.INFRARED:
            infrared = frames.get_ir_frame() or frames.get_left_ir_frame()
            if infrared is None:
                return None
            picture = _gray(infrared)
        shape = depth.get_height(), depth.get_width()
        return CameraFrame(
            depth=np.frombuffer(depth.get_data(), np.uint16).reshape(shape).copy(),
            # The SDK's scale is in millimeters per unit.
            millimetres_per_unit=round(float(depth.get_depth_scale()), 6),
            camera=_intrinsics(depth.get_stream_profile().as_video_stream_profile()),
            timestamp_ms=depth.get_timestamp_us() / 1000.0,
            number=int(depth.get_index()),
            picture=picture,
            camera_name=self.camera_name,
        )


def _intrinsics(profile: Any) -> PinholeCamera:
    lens, bend = profile.get_intrinsic(), profile.get_distortion()
    model, models = bend.model, sdk().OBCameraDistortionModel
    terms = [float(getattr(bend, name)) for name in ("k1", "k2", "p1", "p2", "k3")]
    more = any(getattr(bend, name) for name in ("k4", "k5", "k6"))
    distortion = STRAIGHT
    if any(terms) or more:
        if model != models.BROWN_CONRADY or more:
            raise WrongStream(
                f"depth of the lens model {model.name} cannot be expressed",
                next_step="Let the SDK undistort depth (UnDistortionFilter), or choose another depth mode.",
            )
        k1, k2, p1, p2, k3 = terms
        distortion = (k1, k2, p1, p2, k3)
    return PinholeCamera(
        profile.get_width(), profile.get_height(), lens.fx, lens.fy, lens.cx, lens.cy, distortion=distortion
    )


def _unpacked(frames: Any) -> Any:
    """The same set with JPEG color decoded: the alignment moves pixels."""
    ob, color = sdk(), frames.get_color_frame()
    if color.get_format() != ob.OBFormat.MJPG:
        return frames
    decoder = ob.FormatConvertFilter()
    decoder.set_format_convert_format(ob.OBConvertFormat.MJPG_TO_RGB888)
    together = ob.Frame.create_frame_set()
    together.push_frame(frames.get_depth_frame())
    together.push_frame(decoder.process(color))
    return together


def _rgb(frame: Any) -> NDArray[np.uint8]:
    ob = sdk()
    shape = frame.get_height(), frame.get_width(), 3
    content: Array = np.frombuffer(frame.get_data(), np.uint8)
    if frame.get_format() == ob.OBFormat.RGB:
        return content.reshape(shape).astype(np.uint8)
    if frame.get_format() == ob.OBFormat.BGR:
        return np.ascontiguousarray(content.reshape(shape)[..., ::-1], dtype=np.uint8)
    raise WrongStream(
        f"color comes as {frame.get_format().name}", next_step="Choose a color stream of RGB or MJPG."
    )


def _gray(frame: Any) -> NDArray[Any]:
    ob = sdk()
    shape = frame.get_height(), frame.get_width()
    kind = np.uint16 if frame.get_format() == ob.OBFormat.Y16 else np.uint8
    return np.frombuffer(frame.get_data(), kind).reshape(shape).copy()
