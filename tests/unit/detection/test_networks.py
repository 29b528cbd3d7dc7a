"""What surrounds the networks: frames, sessions, decoders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.detection import yolov5_face, yolov8_face
from recon_service.detection.letterbox import letterboxed
from recon_service.detection.onnx_session import NetworkUnusable, OnnxNetwork
from recon_service.detection.retinaface import RetinaFace, priors
from recon_service.detection.rtmpose import RtmPose
from recon_service.detection.suppression import greedy_suppression, overlap_with_each
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device
from tests.detectors import rtmpose_of_the_brightest_lines, weight_store

SIDES = st.integers(1, 900)


# ---- frames


@given(SIDES, SIDES)
def test_a_letterbox_shows_the_whole_picture_and_its_corners_come_back(width: int, height: int) -> None:
    fitted = letterboxed(np.full((height, width, 3), 255, np.uint8), 640)
    rows, columns = (np.flatnonzero((fitted.pixels == 255).all(axis=2).any(axis=a)) for a in (1, 0))
    assert fitted.pixels.shape == (640, 640, 3)
    assert max(len(rows), len(columns)) == 640
    corners = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], dtype=float)
    np.testing.assert_allclose(
        fitted.to_picture(corners), [[0, 0], [width, height]], atol=1e-6 * max(width, height)
    )


# ---- suppression


@given(st.integers(0, 10_000))
def test_what_is_kept_overlaps_little_and_what_is_dropped_overlaps_a_better_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 50, (30, 2))
    boxes, scores = np.concatenate([low, low + rng.uniform(5, 40, (30, 2))], axis=1), rng.random(30)
    kept = greedy_suppression(boxes, scores, max_overlap=0.4)
    assert (np.diff(scores[kept]) <= 0).all()
    for i in range(30):
        better = kept[scores[kept] > scores[i]]
        overlaps = overlap_with_each(boxes[i], boxes[better])
        assert (i in kept) == bool((overlaps <= 0.4).all())


# ---- sessions


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(NetworkUnusable):
        OnnxNetwork(path)


def test_cuda_falls_back_to_the_cpu_where_there_is_none(tmp_path: Path) -> None:
    import onnxruntime

    network = OnnxNetwork(rtmpose_of_the_brightest_lines(), Device.CUDA)
    there = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert network.device in ((Device.CPU, Device.CUDA) if there else (Device.CPU,))
    columns, rows = network.run(np.zeros((2, 3, 256, 256), np.float32))
    assert columns.shape == rows.shape == (2, 106, 512)


def test_a_cuda_session_that_fails_falls_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that promises CUDA on a machine without its libraries."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def session(network: object, options: object, providers: list[str]) -> object:
        if "CUDAExecutionProvider" in providers:
            raise RuntimeError("libcudnn is missing")
        return real(network, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    network = OnnxNetwork(rtmpose_of_the_brightest_lines(), Device.AUTO)
    assert network.device is Device.CPU
    assert len(network.run(np.zeros((1, 3, 256, 256), np.float32))) == 2


def test_another_network_is_refused(weights_mirror: Path) -> None:
    with pytest.raises(NetworkUnusable):
        RetinaFace(weight_store().locate("yolov5-face"))
    with pytest.raises(NetworkUnusable):
        yolov5_face.YoloV5Face(weight_store().locate("yolov8-face"))
    with pytest.raises(NetworkUnusable):
        yolov8_face.YoloV8Face(weight_store().locate("retinaface-640"))


# ---- decoders: a face that is written into the network's output is read from it


@given(st.sampled_from([8, 16, 32]), st.integers(0, 2), st.integers(0, 10_000))
def test_yolov5_reads_what_was_written(stride: int, anchor: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = 640 // stride
    row, column = rng.integers(cells, size=2)
    size = np.array(yolov5_face.ANCHORS[stride][anchor], dtype=float)
    center = (np.array([column, row]) + rng.uniform(-0.4, 1.4, 2)) * stride
    extent = size * rng.uniform(0.1, 3.5, 2)
    points = center + rng.normal(size=(5, 2)) * extent / 4
    output = np.full((3, cells, cells, 16), -9.0, np.float32)

    def logit(p: np.ndarray) -> np.ndarray:
        return np.log(p / (1 - p))

    entry = output[anchor, row, column]
    entry[:2] = logit((center / stride - [column, row] + 0.5) / 2)
    entry[2:4] = logit(np.sqrt(extent / size) / 2)
    entry[4] = entry[15] = 4.0
    entry[5:15] = ((points - np.array([column, row]) * stride) / size).reshape(-1)
    corners, scores, found = yolov5_face.decoded(output, stride, 0.5)
    np.testing.assert_allclose(corners, [[center - extent / 2, center + extent / 2]], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found, [points], rtol=1e-3, atol=1e-2)
    assert scores[0] == pytest.approx((1 / (1 + np.exp(-4.0))) ** 2)


@given(st.sampled_from([8, 16, 32]), st.integers(0, 10_000))
def test_yolov8_reads_what_was_written(stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = 640 // stride
    row, column = rng.integers(cells, size=2)
    middle = (np.array([column, row]) + 0.5) * stride
    sides = rng.uniform(0.2, 14.5, 4)
    points = middle + rng.normal(size=(5, 2)) * 40
    output = np.full((80, cells, cells), -9.0, np.float32)
    entry = np.full(80, -40.0)
    for number, distance in enumerate(sides):
        whole, part = int(distance), distance - int(distance)
        entry[16 * number + whole], entry[16 * number + whole + 1] = np.log(1 - part), np.log(part)
    entry[64] = 3.0
    entry[65:].reshape(5, 3)[:, :2] = (points / stride - [column, row]) / 2
    output[:, row, column] = entry
    corners, scores, found = yolov8_face.decoded(output, stride, 0.5)
    box = np.array([middle - sides[:2] * stride, middle + sides[2:] * stride])
    np.testing.assert_allclose(corners, [box], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found, [points], rtol=1e-3, atol=1e-2)
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_the_priors_of_retinaface_are_those_that_were_published(weights_mirror: Path) -> None:
    published = np.array(json.loads(weight_store().locate("retinaface-640-priors").read_text()))
    np.testing.assert_allclose(priors(), published, atol=1e-7)


# ---- RTMPose: a network of its signature that answers with the brightest column and row


class OneBox:
    """A detector that knows where the face is."""

    name, device = "one-box", Device.CPU

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self._faces = tuple(DetectedFace(box, 0.9, np.empty((0, 2)), "none") for box in boxes)

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        return self._faces

    def detect_batch(self, images: list[Image]) -> tuple[tuple[DetectedFace, ...], ...]:
        return tuple(self._faces for _ in images)


@pytest.mark.parametrize("box", [(100, 100, 300, 300), (150, 80, 280, 320), (-40, -30, 260, 240)])
def test_rtmpose_brings_landmarks_back_to_the_picture(tmp_path: Path, box: tuple[float, ...]) -> None:
    pixels = np.zeros((400, 480, 3), np.uint8)
    pixels[:, 199:202] = 90
    pixels[139:142] = 90
    pixels[:, 200] = 200
    pixels[140] = 200
    path = tmp_path / "lines.onnx"
    path.write_bytes(rtmpose_of_the_brightest_lines())
    rtmpose = RtmPose(path, OneBox(box, (120, 90, 330, 310)), Device.CPU)  # type: ignore[arg-type]
    faces, again = rtmpose.detect_batch([Image(pixels=pixels), Image(pixels=pixels)])
    step = 1.25 * max(box[2] - box[0], box[3] - box[1]) / 256
    assert len(faces) == len(again) == 2
    for face in (*faces, *again):
        assert face.scheme == "lapa106"
        assert face.score == 0.9
        np.testing.assert_allclose(face.keypoints, [[200, 140]] * 106, atol=1.5 * max(step, 1))


def test_rtmpose_refuses_a_network_of_another_signature(weights_mirror: Path) -> None:
    with pytest.raises(NetworkUnusable, match="106"):
        RtmPose(weight_store().locate("yolov5-face"), OneBox(), Device.CPU)  # type: ignore[arg-type]
