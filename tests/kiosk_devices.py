"""Devices of kiosks without hardware: the RealSense SDK's software device, frames that the Orbbec SDK's own
constructors make, and recordings in every format. They show frames that were computed before.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.kiosk.cameras.recording import FRAME_MS
from recon_service.kiosk.cameras.simulated import UNITS_PER_MM

UNIT_MM = 1 / UNITS_PER_MM


def units(frame: DepthFrame) -> NDArray[np.uint16]:
    """Tenths of a millimeter."""
    return np.rint(frame.depth * UNITS_PER_MM).astype(np.uint16)


def painted(frame: DepthFrame) -> DepthFrame:
    """The frame with a picture that is different at every pixel, and whose edges are those of depth."""
    v, u = np.mgrid[0 : frame.camera.height, 0 : frame.camera.width]
    near = (frame.depth > 0) & (frame.depth < 1000)
    pixels = np.stack([u % 256, v % 256, np.where(near, 220, 20)], axis=2).astype(np.uint8)
    return DepthFrame(frame.depth, frame.camera, frame.camera_name, Image(pixels))


def uncropped(frame: DepthFrame, camera: PinholeCamera, *, wall_mm: float = 1400.0) -> DepthFrame:
    """A frame that was cut around a head, back where it was in the camera's image, before a gray wall."""
    left, top = round(camera.cx - frame.camera.cx), round(camera.cy - frame.camera.cy)
    inside = np.s_[top : top + frame.camera.height, left : left + frame.camera.width]
    depth = np.full((camera.height, camera.width), wall_mm)
    depth[inside] = frame.depth
    image = None
    if frame.image is not None:
        pixels = np.full((camera.height, camera.width, 3), 128, np.uint8)
        pixels[inside] = frame.image.pixels
        image = Image(pixels)
    return DepthFrame(depth, camera, frame.camera_name, image)


def gray(frame: DepthFrame) -> NDArray[np.uint8]:
    """An infrared picture: the blue channel of the painted one."""
    assert frame.image is not None
    return np.ascontiguousarray(frame.image.pixels[..., 2])


# ---- RealSense


class SoftwareRealSense:
    """The SDK's software device with a depth, a color and an infrared stream of the frames' camera.

    ``with device.running():`` sends the frames again and again, ``every_s`` apart, with time stamps of 30
    per second. offset_mm: of the color camera to the right of the depth camera; its picture has to fit to
    that. alive: no two depth maps are equal, as of any sensor: a tenth of a millimeter more or less at
    random pixels.
    """

    def __init__(
        self,
        frames: Sequence[DepthFrame],
        *,
        every_s: float = 0.01,
        offset_mm: float = 0.0,
        color_camera: PinholeCamera | None = None,
        colors: Sequence[NDArray[np.uint8]] | None = None,
        infrared: bool = False,
        fps: int = 30,
        alive: bool = False,
    ) -> None:
        import pyrealsense2 as rs

        self.frames, self._every_s, self._rs = list(frames), every_s, rs
        self._colors = colors or [f.image.pixels for f in frames if f.image is not None]
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Intel RealSense D435I")
        self.device.register_info(rs.camera_info.serial_number, "000000000001")
        self._stereo = self.device.add_sensor("Stereo Module")
        camera = frames[0].camera
        self._depth = self._stereo.add_video_stream(
            self._stream(rs.stream.depth, 0, camera, 2, rs.format.z16, fps)
        )
        self._stereo.add_read_only_option(rs.option.depth_units, UNIT_MM / 1000)
        self._infrared = None
        if infrared:
            self._infrared = self._stereo.add_video_stream(
                self._stream(rs.stream.infrared, 1, camera, 1, rs.format.y8, fps)
            )
        self._color, self._rgb = None, None
        if self._colors:
            self._rgb = self.device.add_sensor("RGB Camera")
            self._color = self._rgb.add_video_stream(
                self._stream(rs.stream.color, 2, color_camera or camera, 3, rs.format.rgb8, fps)
            )
            apart = rs.extrinsics()
            apart.rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1]
            apart.translation = [-offset_mm / 1000, 0, 0]
            self._depth.register_extrinsics_to(self._color, apart)
        self.device.create_matcher(rs.matchers.default)
        self._numbers = itertools.count()
        self._noise = np.random.default_rng() if alive else None

    def _stream(self, kind: Any, uid: int, camera: PinholeCamera, bpp: int, format_: Any, fps: int) -> Any:
        lens = self._rs.intrinsics()
        lens.width, lens.height = camera.width, camera.height
        lens.fx, lens.fy, lens.ppx, lens.ppy = camera.fx, camera.fy, camera.cx, camera.cy
        lens.model, lens.coeffs = self._rs.distortion.brown_conrady, list(camera.distortion)
        stream = self._rs.video_stream()
        stream.type, stream.index, stream.uid = kind, 1 if kind == self._rs.stream.infrared else 0, uid
        stream.width, stream.height, stream.fps = camera.width, camera.height, fps
        stream.bpp, stream.fmt, stream.intrinsics = bpp, format_, lens
        return stream

    def send(self, times: int = 1) -> None:
        """So many frames, in their order."""
        for _ in range(times):
            number = next(self._numbers)
            at = number % len(self.frames)
            frame = self.frames[at]
            depth = units(frame)
            if self._noise is not None:
                depth = np.where(depth > 0, depth + self._noise.integers(0, 2, depth.shape, np.uint16), depth)
            self._push(self._stereo, self._depth, depth, 2, number)
            if self._infrared is not None:
                self._push(self._stereo, self._infrared, gray(frame), 1, number)
            if self._rgb is not None:
                self._push(self._rgb, self._color, np.ascontiguousarray(self._colors[at]), 3, number)

    def _push(self, sensor: Any, profile: Any, pixels: NDArray[Any], bpp: int, number: int) -> None:
        sent = self._rs.software_video_frame()
        sent.pixels, sent.bpp, sent.stride = pixels, bpp, pixels.shape[1] * bpp
        sent.timestamp, sent.frame_number = 1000.0 + number * FRAME_MS, number
        sent.domain = self._rs.timestamp_domain.hardware_clock
        sent.profile = profile.as_video_stream_profile()
        if bpp == 2:
            sent.depth_units = UNIT_MM / 1000
        # The SDK pairs streams by their rate, in thousandths of a hertz; without it no two frames meet.
        sensor.set_metadata(self._rs.frame_metadata_value.actual_fps, 30_000)
        sensor.on_video_frame(sent)

    @contextlib.contextmanager
    def running(self) -> Iterator[SoftwareRealSense]:
        """Frames come until the end of the block."""
        ended = threading.Event()

        def send() -> None:
            while not ended.wait(self._every_s):
                self.send()

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(5.0)


def write_db3(path: Path, frames: Sequence[DepthFrame]) -> None:
    """A recording by the SDK's own recorder. The SDK pairs streams from the second or third frame on: the
    first is sent three times.
    """
    import pyrealsense2 as rs

    made = SoftwareRealSense([frames[0], frames[0], *frames])
    recorder = rs.recorder(str(path), made.device)
    queue = rs.frame_queue(1000)
    sensors = list(recorder.query_sensors())
    for sensor, profile in zip(sensors, (made._depth, made._color), strict=True):
        sensor.open(profile)
        sensor.start(queue)
    for _ in range(len(frames) + 2):
        made.send()
        time.sleep(0.005)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del sensors, recorder  # the SDK completes the file when nobody holds the recorder


# ---- Orbbec


@dataclass
class OrbbecStructures:
    """Sets of frames from the Orbbec SDK's own constructors, as its pipeline would give them."""

    frames: Sequence[DepthFrame]
    product_name: str = "Orbbec Gemini 335"
    offset_mm: float = 0.0
    color_camera: PinholeCamera | None = None
    colors: Sequence[NDArray[np.uint8]] | None = None
    jpeg: bool = False
    infrared: bool = False
    _next: int = -1

    def start(self) -> None:
        self._next = 0

    def stop(self) -> None:
        self._next = -1

    def over(self) -> bool:
        return self._next >= len(self.frames)

    def product(self) -> str:
        return self.product_name

    def wait_for_frames(self, timeout_ms: int) -> Any:
        from recon_service.kiosk.cameras.orbbec_sdk import sdk

        if self.over():
            return None
        ob, frame, number = sdk(), self.frames[self._next], self._next
        self._next += 1
        depth, depth_profile = self._video(
            ob, ob.OBFrameType.DEPTH_FRAME, ob.OBFormat.Y16, frame.camera, units(frame).tobytes()
        )
        depth.as_depth_frame().set_value_scale(UNIT_MM)
        together = ob.Frame.create_frame_set()
        sent = [depth]
        if frame.image is not None and not self.infrared:
            pixels = self.colors[number] if self.colors is not None else frame.image.pixels
            kind, content = ob.OBFormat.RGB, np.ascontiguousarray(pixels).tobytes()
            if self.jpeg:
                quality = [cv2.IMWRITE_JPEG_QUALITY, 98]
                kind, content = ob.OBFormat.MJPG, bytes(cv2.imencode(".jpg", pixels[..., ::-1], quality)[1])
            color, color_profile = self._video(
                ob, ob.OBFrameType.COLOR_FRAME, kind, self.color_camera or frame.camera, content
            )
            apart = ob.OBExtrinsic()
            apart.rot = np.eye(3, dtype=np.float32)
            apart.transform = np.array([-self.offset_mm, 0, 0], np.float32)
            depth_profile.bind_extrinsic_to(color_profile, apart)
            sent.append(color)
        if self.infrared:
            content = gray(frame).tobytes()
            sent.append(self._video(ob, ob.OBFrameType.IR_FRAME, ob.OBFormat.Y8, frame.camera, content)[0])
        for one in sent:
            ob.Frame.set_frame_device_timestamp_us(one, round(1e6 + number * FRAME_MS * 1000))
            together.push_frame(one)
        return together

    @staticmethod
    def _video(ob: Any, kind: Any, format_: Any, camera: PinholeCamera, content: bytes) -> tuple[Any, Any]:
        frame = ob.Frame.create_video_frame(kind, format_, camera.width, camera.height)
        frame.update_data(content.ljust(frame.get_data_size(), b"\0"))  # a JPEG is shorter than its buffer
        profile = frame.get_stream_profile().as_video_stream_profile()
        lens, bend = ob.OBCameraIntrinsic(), ob.OBCameraDistortion()
        lens.width, lens.height = camera.width, camera.height
        lens.fx, lens.fy, lens.cx, lens.cy = camera.fx, camera.fy, camera.cx, camera.cy
        if any(camera.distortion):
            bend.model = ob.OBCameraDistortionModel.BROWN_CONRADY
            bend.k1, bend.k2, bend.p1, bend.p2, bend.k3 = camera.distortion
        profile.set_intrinsic(lens)
        profile.set_distortion(bend)
        return frame, profile


# ---- files


def write_ply(path: Path, frame: DepthFrame, *, binary: bool, meters: bool, opengl: bool) -> None:
    """The depth map as points, as a viewer saves them."""
    row, column = np.nonzero(frame.depth)
    rays = frame.camera.rays(np.stack([column, row], axis=1).astype(np.float64))
    points = rays * frame.depth[row, column][:, None]
    points = points * ([1, -1, -1] if opengl else [1, 1, 1]) / (1000.0 if meters else 1.0)
    kind = "binary_little_endian" if binary else "ascii"
    head = f"ply\nformat {kind} 1.0\ncomment points\nelement vertex {len(points)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += "property uchar red\nproperty uchar green\nproperty uchar blue\n" * binary + "end_header\n"
    if binary:
        rows = np.zeros(len(points), [(n, "<f4") for n in "xyz"] + [(n, "u1") for n in "rgb"])
        for axis, name in enumerate("xyz"):
            rows[name] = points[:, axis]
        path.write_bytes(head.encode() + rows.tobytes())
    else:
        body = "\n".join(" ".join(f"{value:.7g}" for value in point) for point in points)
        path.write_bytes(head.encode() + body.encode() + b"\n")
