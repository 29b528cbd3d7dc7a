"""Orbbec's SDK: the package, the devices that it finds, and its pipeline on one of them or on a recording."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from recon_service.kiosk.cameras.camera import PictureKind
from recon_service.kiosk.errors import (
    CameraNotConnected,
    CameraSupportMissing,
    RecordingUnreadable,
    WrongStream,
)


class FrameSource(Protocol):
    """What the SDK's pipeline does: start, give sets of frames, stop. A test gives sets that it made itself
    with the SDK's own constructors.
    """

    def start(self) -> None: ...

    def wait_for_frames(self, timeout_ms: int) -> Any: ...

    def over(self) -> bool: ...

    def product(self) -> str: ...

    def stop(self) -> None: ...


class PipelineSource:
    """The SDK's pipeline on a device or a recording."""

    def __init__(
        self,
        serial: str | None,
        recording: Path | None,
        size: tuple[int, int] | None,
        fps: int | None,
        picture: PictureKind,
    ) -> None:
        self._serial, self._recording, self._size, self._fps = serial, recording, size, fps
        self._picture = picture
        self._device: Any = None
        self._pipeline: Any = None

    def start(self) -> None:
        ob = sdk()
        self._device = self._found(ob)
        try:
            self._pipeline = ob.Pipeline(self._device)
            config = ob.Config()
            width, height = self._size or (0, 0)
            self._enable(config, ob.OBSensorType.DEPTH_SENSOR, width, height, (ob.OBFormat.Y16,))
            if self._picture is PictureKind.COLOR:
                self._enable(config, ob.OBSensorType.COLOR_SENSOR, 0, 0, (ob.OBFormat.RGB, ob.OBFormat.MJPG))
            elif self._picture is PictureKind.INFRARED:
                gray = (ob.OBFormat.Y8, ob.OBFormat.Y16)
                self._enable(config, ob.OBSensorType.IR_SENSOR, width, height, gray)
            complete = ob.OBFrameAggregateOutputMode.FULL_FRAME_REQUIRE
            config.set_frame_aggregate_output_mode(complete)
            self._pipeline.enable_frame_sync()
            self._pipeline.start(config)
        except (RuntimeError, ob.OBError) as fault:
            self.stop()
            raise CameraNotConnected(
                f"the streams do not start: {fault}", next_step="Unplug the camera and plug it in again."
            ) from None

    def wait_for_frames(self, timeout_ms: int) -> Any:
        ob = sdk()
        try:
            return self._pipeline.wait_for_frames(timeout_ms)
        except (RuntimeError, ob.OBError) as fault:
            raise CameraNotConnected(
                f"the camera went away: {fault}", next_step="Check the cable and its power."
            ) from None

    def over(self) -> bool:
        if self._recording is None:
            return False
        return bool(self._device.get_playback_status() == sdk().OBPlaybackStatus.STOPPED)

    def product(self) -> str:
        return str(self._device.get_device_info().get_name())

    def stop(self) -> None:
        if self._pipeline is not None:
            with contextlib.suppress(RuntimeError):
                self._pipeline.stop()
        self._pipeline = self._device = None

    def _found(self, ob: Any) -> Any:
        if self._recording is not None:
            if not self._recording.is_file():
                raise RecordingUnreadable(f"{self._recording} is not there", next_step="Name a .bag file.")
            try:
                return ob.PlaybackDevice(str(self._recording))
            except (RuntimeError, ob.OBError) as fault:
                raise RecordingUnreadable(
                    f"the SDK cannot play {self._recording}: {fault}",
                    next_step="Use a .bag that the Orbbec SDK 2 recorded.",
                ) from None
        devices = ob.Context().query_devices()
        serials = [devices.get_device_serial_number_by_index(n) for n in range(devices.get_count())]
        for place, serial in enumerate(serials):
            if self._serial in (None, serial):
                return devices.get_device_by_index(place)
        raise CameraNotConnected(
            f"no Orbbec camera {self._serial or ''} is connected "
            f"(connected: {', '.join(serials) or 'none'})".replace("  ", " "),
            next_step="Plug it into a USB 3 port; `recon kiosk cameras` lists what is there.",
        )

    def _enable(self, config: Any, sensor: Any, width: int, height: int, formats: tuple[Any, ...]) -> None:
        ob = sdk()
        listed = self._pipeline.get_stream_profile_list(sensor)
        for format_ in formats:
            try:
                profile = listed.get_video_stream_profile(width, height, format_, self._fps or 0)
            except (RuntimeError, ob.OBError):
                continue
            config.enable_stream(profile)
            return
        there = {repr(listed.get_stream_profile_by_index(n)) for n in range(listed.get_count())}
        raise WrongStream(
            f"the camera has no such stream of {sensor.name}", next_step=f"There are: {sorted(there)[:12]}."
        )


def connected() -> list[tuple[str, str]]:
    """(name, serial number) of the Orbbec cameras that are plugged in; none without the package."""
    try:
        ob = sdk()
    except CameraSupportMissing:
        return []
    devices = ob.Context().query_devices()
    return [
        (devices.get_device_name_by_index(n), devices.get_device_serial_number_by_index(n))
        for n in range(devices.get_count())
    ]


def sdk() -> Any:
    """The package, which would otherwise speak on standard output and write a log folder where it stands."""
    try:
        with _quiet():
            import pyorbbecsdk
    except ImportError:
        raise CameraSupportMissing(
            "the package pyorbbecsdk2 is not installed", next_step="pip install --no-deps pyorbbecsdk2"
        ) from None
    pyorbbecsdk.Context.set_logger_level(pyorbbecsdk.OBLogLevel.NONE)
    return pyorbbecsdk


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What native code writes to standard output goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
