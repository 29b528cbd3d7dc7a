"""3DDFA-V2's networks and formulas against independent computations, without any weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from third_party.tddfa_v2 import boxes, region
from third_party.tddfa_v2.basel import LinearShape, in_picture
from third_party.tddfa_v2.parameters import Parameters, scale_and_rotation, yaw_pitch_roll


def parameters_of(module, rng):  # type: ignore[no-untyped-def]
    """Random parameters of a torch module, variances positive, as arrays by name."""
    torch = pytest.importorskip("torch", reason="torch is not installed (make torch)")
    arrays = {}
    for name, tensor in module.state_dict().items():
        if tensor.dtype != torch.float32:
            continue
        scale = 1 / np.sqrt(max(1, tensor[0].numel())) if tensor.ndim > 1 else 0.2
        array = scale * rng.standard_normal(tuple(tensor.shape))
        arrays[name] = (np.abs(array) + 0.5 if "running_var" in name else array).astype(np.float32)
    module.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()}, strict=False)
    return module.eval(), arrays


def session(graph: bytes):  # type: ignore[no-untyped-def]
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_the_graph_of_the_regressor_is_the_module(width: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (make torch)")
    pytest.importorskip("onnx")
    from third_party.tddfa_v2 import graphs
    from third_party.tddfa_v2.mobilenet import MobileNetV1

    rng = np.random.default_rng(1)
    module, arrays = parameters_of(MobileNetV1(width), rng)
    assert arrays["fc.weight"].shape == (62, int(1024 * width))
    crops = rng.standard_normal((3, 3, 120, 120)).astype(np.float32)
    with torch.inference_mode():
        wanted = module(torch.from_numpy(crops)).numpy()
    (found,) = session(graphs.regressor(arrays)).run(None, {"crops": crops})
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("size", [(128, 160), (135, 211)])
def test_the_graph_of_the_detector_is_the_module(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (make torch)")
    pytest.importorskip("onnx")
    from third_party.tddfa_v2 import graphs
    from third_party.tddfa_v2.faceboxes import FaceBoxes

    rng = np.random.default_rng(2)
    module, arrays = parameters_of(FaceBoxes(), rng)
    pictures = rng.standard_normal((2, 3, *size)).astype(np.float32)
    with torch.inference_mode():
        wanted = [out.numpy() for out in module(torch.from_numpy(pictures))]
    found = session(graphs.detector(arrays)).run(None, {"picture": pictures})
    assert wanted[0].shape == (2, len(boxes.priors(*size)), 4)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 60))
def test_suppression_keeps_the_best_of_every_heap_and_nothing_that_overlaps_it(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 100, (count, 2)), rng.uniform(5, 60, (count, 2))
    scores = np.sort(rng.uniform(0, 1, count))[::-1]
    found = np.column_stack([corner, corner + size, scores])
    kept = boxes.suppressed(found)

    def shared(a: np.ndarray, b: np.ndarray) -> float:
        wide = min(a[2], b[2]) - max(a[0], b[0]) + 1
        tall = min(a[3], b[3]) - max(a[1], b[1]) + 1
        overlap = max(wide, 0) * max(tall, 0)
        areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
        return float(overlap / (sum(areas) - overlap))

    assert kept[0] == 0
    assert list(kept) == sorted(kept)
    for n, first in enumerate(kept):
        assert all(shared(found[first], found[other]) < boxes.OVERLAP for other in kept[n + 1 :])
    for lost in np.setdiff1d(np.arange(count), kept):
        assert any(shared(found[better], found[lost]) >= boxes.OVERLAP for better in kept if better < lost)


@settings(max_examples=40)
@given(st.integers(1, 4000), st.integers(1, 4000))
def test_the_detector_sees_at_most_its_size(height: int, width: int) -> None:
    scale = boxes.scale_of(height, width)
    assert scale <= 1
    assert height * scale <= boxes.MAX_HEIGHT + 1e-6
    assert width * scale <= boxes.MAX_WIDTH + 1e-6
    assert scale == 1 or max(height * scale / boxes.MAX_HEIGHT, width * scale / boxes.MAX_WIDTH) > 1 - 1e-9


def test_without_offsets_a_face_is_its_anchor() -> None:
    height, width = 96, 128
    anchors = boxes.priors(height, width)
    scores = np.zeros(len(anchors), np.float32)
    scores[7] = 0.9
    (face,) = boxes.faces(np.zeros((len(anchors), 4), np.float32), scores, height, width, 0.5)
    center, size = anchors[7, :2] * [width, height] / 0.5, anchors[7, 2:] * [width, height] / 0.5
    np.testing.assert_allclose(face, [*(center - size / 2), *(center + size / 2), 0.9], rtol=1e-5)
    assert len(boxes.faces(np.zeros((len(anchors), 4), np.float32), 0 * scores, height, width, 1.0)) == 0


@settings(max_examples=40)
@given(st.integers(0, 2**31))
def test_a_region_reaches_beyond_the_picture_as_into_black(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    left, top = rng.uniform(-90, 90, 2)
    side = rng.uniform(2, 150)
    square = np.array([left, top, left + side, top + side])
    wide = np.zeros((460, 480, 3), dtype=np.uint8)
    wide[200:260, 200:280] = picture
    np.testing.assert_array_equal(region.cropped(picture, square), region.cropped(wide, square + 200))


def test_parameters_of_a_turned_head_are_read_back() -> None:
    yaw, pitch, roll = np.deg2rad([20.0, -10.0, 5.0])
    # The convention: sin(yaw) in the third row's first place, the other two angles by their tangents.
    rx = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    ry = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    rz = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    turn = rz @ ry @ rx
    camera = np.column_stack([5e-4 * turn, [60.0, 60.0, 0.0]])
    scale, rotation = scale_and_rotation(camera)
    assert scale == pytest.approx(5e-4)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(yaw_pitch_roll(rotation), [20.0, -10.0, 5.0], atol=1e-9)
    sideways = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert yaw_pitch_roll(sideways)[0] == 90.0


def test_a_shape_in_the_picture() -> None:
    rng = np.random.default_rng(3)
    shape = LinearShape(*(rng.standard_normal((9, 3, *k)).astype(np.float32) for k in ((), (40,), (10,))))
    mean, std = rng.standard_normal((2, 62))
    parameters = Parameters.of(rng.standard_normal(62), mean, std)
    np.testing.assert_allclose(
        shape.moved(shape.points(parameters.identity), parameters.expression),
        shape.points(parameters.identity, parameters.expression),
        rtol=1e-5,
        atol=1e-4,
    )
    assert len(shape.at(np.array([2, 5])).mean) == 2
    still = Parameters(np.eye(3, 4), parameters.identity, parameters.expression)
    placed = in_picture(np.array([[1.0, 120.0, 3.0], [121.0, 0.0, 1.0]]), still, np.array([10, 20, 250, 260]))
    np.testing.assert_allclose(placed, [[10, 20, 4], [250, 260, 0]])
