"""RealSense cameras through the maker's SDK (pyrealsense2): a device, or a recording of it (.db3).

Device, recording and the SDK's software device go through the same calls: sensors with stream profiles, the
SDK's syncer, the SDK's alignment. The depth map stays as it was measured and the picture is brought to it:
aligning depth to color would resample depth and open holes in it.

No post-processing is on: what the SDK offers smooths over edges, averages over time (so that frames of a
visit are no longer independent, as the fit takes them to be) or invents surface (docs/adr/0152).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.kiosk.cameras.camera import READ_SECONDS, CameraFrame, PictureKind, not_started
from recon_service.kiosk.cameras.lens import brown_conrady
from recon_service.kiosk.cameras.parameters import name_of_product
from recon_service.kiosk.errors import (
    CameraNotConnected,
    CameraStalled,
    CameraSupportMissing,
    RecordingUnreadable,
    WrongStream,
)

FILTERS: Final = ("spatial", "temporal", "hole-filling")
FINE_UNIT_M: Final = 1e-4
"""Depth unit that is asked of devices that can be told: a tenth of a millimeter."""
TRIES: Final = 30
"""Frame sets without depth and picture that are passed over before the pair is given up: streams start one
after the other.
"""


class RealSenseCamera:
    """A camera of the RealSense family.

    serial: of the device; None takes the first. recording: a file instead of a device. device: an opened
    ``pyrealsense2.device`` instead of both. size: (width, height) and fps of the depth stream, None for what
    there is. picture: what is shown beside depth. filters: names of FILTERS, for comparisons. camera_name: by
    which the calibration knows it, None for the product's. paced: play a recording as fast as it was taken.
    """

    def __init__(
        self,
        *,
        serial: str | None = None,
        recording: Path | None = None,
        device: Any = None,
        size: tuple[int, int] | None = None,
        fps: int | None = None,
        picture: PictureKind = PictureKind.COLOR,
        filters: Sequence[str] = (),
        camera_name: str | None = None,
        paced: bool = False,
    ) -> None:
        if unknown := set(filters) - set(FILTERS):
            raise WrongStream(f"no such filter: {', '.join(sorted(unknown))}", next_step=f"One of {FILTERS}.")
        self._serial, self._recording, self._given = serial, recording, device
        self._size, self._fps, self._picture, self._paced = size, fps, picture, paced
        self._filter_names = tuple(filters)
        self._name = camera_name
        self._sensors: list[Any] = []
        self._device: Any = None
        self._syncer: Any = None

    @property
    def camera_name(self) -> str:
        if self._name is None and self._device is not None:
            return name_of_product(_info(self._device, "name"))
        return self._name or "generic"

    def start(self) -> None:
        rs = _sdk()
        self.stop()
        self._device = self._found(rs)
        depth, chosen = self._chosen(rs)
        # Recordings of another speed than they were taken at must not lose frames.
        self._syncer = rs.syncer(1 if self._recording is None else 100)
        self._align = rs.align(rs.stream.depth)
        self._blocks = [_filter(rs, name) for name in self._filter_names]
        self._camera = self._intrinsics(rs, depth)
        try:
            for sensor, profiles in chosen:
                self._sensors.append(sensor)
                sensor.open(profiles if len(profiles) > 1 else profiles[0])
                sensor.start(self._syncer)
        except RuntimeError as fault:
            self.stop()
            raise CameraNotConnected(
                f"the streams do not start: {fault}", next_step="Unplug the camera and plug it in again."
            ) from None

    def read(self, timeout_s: float = READ_SECONDS) -> CameraFrame | None:
        if self._syncer is None:
            raise not_started()
        rs = _sdk()
        for _ in range(TRIES):
            try:
                frames = self._syncer.wait_for_frames(max(1, round(1000 * timeout_s)))
            except RuntimeError:
                if self._over(rs):
                    return None
                raise self._silent(timeout_s) from None
            found = self._frame(rs, frames)
            if found is not None:
                return found
        raise CameraStalled(
            "depth and picture do not come together", next_step="Check that both streams have one frame rate."
        )

    def stop(self) -> None:
        for sensor in self._sensors:
            # A camera that was unplugged refuses to be stopped.
            with contextlib.suppress(RuntimeError):
                sensor.stop()
            with contextlib.suppress(RuntimeError):
                sensor.close()
        self._sensors, self._syncer, self._device = [], None, None

    def _found(self, rs: Any) -> Any:
        if self._given is not None:
            return self._given
        context = rs.context()
        if self._recording is not None:
            if not self._recording.is_file():
                raise RecordingUnreadable(f"{self._recording} is not there", next_step="Name a .db3 file.")
            try:
                device = context.load_device(str(self._recording))
                device.as_playback().set_real_time(self._paced)
            except RuntimeError as fault:
                raise RecordingUnreadable(
                    f"the SDK cannot play {self._recording}: {fault}",
                    next_step="Use a .db3 that the SDK recorded; convert the .bag files of older ones.",
                ) from None
            return device
        devices = list(context.query_devices())
        for device in devices:
            if self._serial in (None, _info(device, "serial_number")):
                return device
        there = ", ".join(_info(device, "serial_number") for device in devices) or "none"
        raise CameraNotConnected(
            f"no RealSense camera {self._serial or ''} is connected (connected: {there})".replace("  ", " "),
            next_step="Plug it into a USB 3 port; `recon kiosk cameras` lists what is there.",
        )

    def _chosen(self, rs: Any) -> tuple[Any, list[tuple[Any, list[Any]]]]:
        """The depth profile, and for each sensor the profiles to open."""
        sensors = list(self._device.query_sensors())
        depth = self._profile(rs, sensors, rs.stream.depth, (rs.format.z16,), self._size)
        wanted = [depth]
        if self._picture is PictureKind.COLOR:
            formats = (rs.format.rgb8, rs.format.bgr8)
            wanted.append(self._profile(rs, sensors, rs.stream.color, formats, None))
        elif self._picture is PictureKind.INFRARED:
            shape = depth[1].as_video_stream_profile()
            size = shape.width(), shape.height()
            formats = (rs.format.y8, rs.format.y16)
            wanted.append(self._profile(rs, sensors, rs.stream.infrared, formats, size))
        if self._recording is None and self._given is None:
            _prepare(rs, depth[0])
        order = [s for n, s in enumerate(sensors) if any(w[2] == n for w in wanted)]
        index = [n for n, _ in enumerate(sensors) if any(w[2] == n for w in wanted)]
        return depth[1], [
            (sensor, [w[1] for w in wanted if w[2] == n]) for sensor, n in zip(order, index, strict=True)
        ]

    def _profile(
        self,
        rs: Any,
        sensors: Sequence[Any],
        stream: Any,
        formats: Sequence[Any],
        size: tuple[int, int] | None,
    ) -> tuple[Any, Any, int]:
        """Sensor, profile and the sensor's place. Raises WrongStream."""
        there = []
        for place, sensor in enumerate(sensors):
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() != stream:
                    continue
                video = profile.as_video_stream_profile()
                there.append(
                    f"{video.width()}x{video.height()} {profile.format().name} {profile.fps()} per second"
                )
                sized = size is None or (video.width(), video.height()) == size
                if sized and profile.format() in formats and self._fps in (None, profile.fps()):
                    return sensor, profile, place
        asked = f"{size[0]}x{size[1]} " if size else ""
        raise WrongStream(
            f"the camera has no {stream.name} stream {asked}of {' or '.join(f.name for f in formats)}",
            next_step=f"There are: {'; '.join(sorted(set(there))[:12]) or 'none of this kind'}.",
        )

    def _intrinsics(self, rs: Any, depth: Any) -> PinholeCamera:
        lens = depth.as_video_stream_profile().get_intrinsics()
        distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
        if lens.model == rs.distortion.brown_conrady:
            k1, k2, p1, p2, k3 = (float(c) for c in lens.coeffs)
            distortion = (k1, k2, p1, p2, k3)
        elif lens.model != rs.distortion.none and any(lens.coeffs):

            def rays(pixels: Array) -> Array:
                points = [rs.rs2_deproject_pixel_to_point(lens, [float(u), float(v)], 1.0) for u, v in pixels]
                return np.asarray(points, dtype=np.float64)[:, :2]

            distortion = brown_conrady(
                rays, width=lens.width, height=lens.height, fx=lens.fx, fy=lens.fy, cx=lens.ppx, cy=lens.ppy
            )
        return PinholeCamera(
            lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy, distortion=distortion
        )

    def _frame(self, rs: Any, frames: Any) -> CameraFrame | None:
        """The pair of depth and picture, or None where one is missing."""
        if not frames.get_depth_frame():
            return None
        if self._picture is PictureKind.COLOR:
            if not frames.get_color_frame():
                return None
            frames = self._align.process(frames)
        picture = None
        if self._picture is PictureKind.COLOR:
            color = frames.get_color_frame()
            picture = np.asanyarray(color.get_data()).copy()
            if color.get_profile().format() == rs.format.bgr8:
                picture = np.ascontiguousarray(picture[..., ::-1])
        elif self._picture is PictureKind.INFRARED:
            # The left infrared imager is where depth is computed: they are aligned as they come.
            infrared = frames.get_infrared_frame(1) or frames.get_infrared_frame(0)
            if not infrared:
                return None
            picture = np.asanyarray(infrared.get_data()).copy()
        depth = frames.get_depth_frame()
        units = depth.get_units()
        filtered = depth
        for block in self._blocks:
            filtered = block.process(filtered)
        return CameraFrame(
            depth=np.asanyarray(filtered.get_data()).copy(),
            millimetres_per_unit=round(1000.0 * units, 6),
            camera=self._camera,
            timestamp_ms=float(depth.get_timestamp()),
            number=int(depth.get_frame_number()),
            picture=picture,
            camera_name=self.camera_name,
        )

    def _over(self, rs: Any) -> bool:
        """Whether a recording came to its end."""
        if self._recording is None:
            return False
        status = self._device.as_playback().current_status()
        return bool(status == rs.playback_status.stopped)

    def _silent(self, timeout_s: float) -> CameraNotConnected | CameraStalled:
        """Gone, or there without a frame."""
        serial = _info(self._device, "serial_number")
        if self._given is None and serial not in [
            _info(d, "serial_number") for d in _sdk().context().query_devices()
        ]:
            return CameraNotConnected("the camera went away", next_step="Check the cable and its power.")
        return CameraStalled(
            f"no frame within {timeout_s:g} s", next_step="Check the cable; a USB 2 port is too slow."
        )


def connected() -> list[tuple[str, str]]:
    """(name, serial number) of the RealSense cameras that are plugged in; none without the package."""
    try:
        rs = _sdk()
    except CameraSupportMissing:
        return []
    return [(_info(d, "name"), _info(d, "serial_number")) for d in rs.context().query_devices()]


def _sdk() -> Any:
    try:
        import pyrealsense2
    except ImportError:
        raise CameraSupportMissing(
            "the package pyrealsense2 is not installed", next_step="pip install 'recon-service[realsense]'"
        ) from None
    return pyrealsense2


def _info(device: Any, name: str) -> str:
    key = getattr(_sdk().camera_info, name)
    return str(device.get_info(key)) if device.supports(key) else ""


def _prepare(rs: Any, sensor: Any) -> None:
    """What helps the fit where the device can be told: fine depth units, the projector on. A device that
    refuses keeps its own: frames say their unit.
    """
    for option, value in ((rs.option.depth_units, FINE_UNIT_M), (rs.option.emitter_enabled, 1.0)):
        if sensor.supports(option) and not sensor.is_option_read_only(option):
            with contextlib.suppress(RuntimeError):
                sensor.set_option(option, value)


def _filter(rs: Any, name: str) -> Any:
    kinds = {
        "spatial": rs.spatial_filter,
        "temporal": rs.temporal_filter,
        "hole-filling": rs.hole_filling_filter,
    }
    return kinds[name]()
