"""3DDFA-V2 against the output of the original (cleardusk/3DDFA_V2@1b6c676) on two portraits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recon_service.domain.errors import ReconError
from recon_service.domain.images import Image
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.backend import BackendOptions
from recon_service.reconstruction.session import SessionOptions
from recon_service.reconstruction.tddfa_v2 import model_files
from recon_service.reconstruction.tddfa_v2.networks import OnnxNetworks
from recon_service.reconstruction.tddfa_v2.reconstructor import TddfaV2
from recon_service.weights.derived import StoredFiles
from recon_service.weights.store import WeightStore
from tests.images import portrait as portrait_pixels
from third_party.tddfa_v2 import boxes, region
from third_party.tddfa_v2.parameters import Parameters, scale_and_rotation

PORTRAITS = ("astronaut", "grace_hopper")
CPU = BackendOptions(SessionOptions(device=Device.CPU))
RAW_TOLERANCE = {"torch": 2e-5, "onnx": 5e-5}

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")


@pytest.fixture(scope="module")
def files(weights_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> StoredFiles:
    store = WeightStore.from_environment({"RECON_WEIGHTS_MIRROR": str(weights_mirror)})
    folder = tmp_path_factory.mktemp("weights")
    return StoredFiles(replace(store, directory=folder, allow_noncommercial=True))


@pytest.fixture(scope="module", params=["onnx", "torch"])
def backend(request: pytest.FixtureRequest, files: StoredFiles) -> tuple[str, TddfaV2]:
    networks = [model_files.load_network(files, n) for n in (model_files.DETECTOR, model_files.REGRESSOR)]
    if request.param == "torch":
        pytest.importorskip("torch", reason="torch is not installed (make torch)")
        from recon_service.reconstruction.tddfa_v2.torch_networks import TorchNetworks

        made: Any = TorchNetworks(*networks)
    else:
        made = OnnxNetworks.here(*networks, CPU.session)
    return request.param, TddfaV2(
        made, model_files.load_bases(files), model_files.load_whitening(files), options=CPU
    )


def portrait(name: str) -> Image:
    return Image(portrait_pixels(name))


def golden(cases: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(cases / "tddfa_v2_golden" / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def one(backend: TddfaV2, *images: Image) -> list[tuple[ReconstructedFace, ...]]:
    outcomes = backend.reconstruct([(image, None) for image in images])
    for outcome in outcomes:
        assert not isinstance(outcome, ReconError), outcome
    return list(outcomes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PORTRAITS)
def test_every_number_is_the_originals(name: str, backend: tuple[str, TddfaV2], cases: Path) -> None:
    runtime, model = backend
    wanted = golden(cases, name)
    (face,) = one(model, portrait(name))[0]
    assert np.abs(np.array([*face.box, face.score]) - wanted["boxes"][0]).max() < 1e-3
    assert np.abs(np.array(face.region) - wanted["roi_boxes_f64"][0]).max() < 1e-3
    assert np.abs(face.raw - wanted["raw"][0]).max() < RAW_TOLERANCE[runtime]
    parameters, deviation = face.parameters["parameters"], np.abs(wanted["param"][0]).clip(1e-4)
    assert (np.abs(parameters - wanted["param"][0]) / deviation).max() < 1e-3
    assert np.abs(face.parameters["rotation"] - wanted["R"][0]).max() < 1e-4
    assert face.parameters["scale"] == pytest.approx(float(wanted["s"][0]), rel=1e-4)
    np.testing.assert_allclose(face.pose, wanted["ypr_deg"][0], atol=1e-3)
    assert np.abs(face.landmarks - wanted["landmarks68"][0, :2].T).max() < 5e-3
    assert np.abs(face.parameters["landmark_depth"] - wanted["landmarks68"][0, 2]).max() < 5e-3


@pytest.mark.parametrize("name", PORTRAITS)
def test_the_crop_is_the_originals_to_the_bit(name: str, cases: Path) -> None:
    wanted = golden(cases, name)
    bgr = np.ascontiguousarray(portrait(name).pixels[..., ::-1])
    crop = region.cropped(bgr, region.region_of(wanted["boxes"][0]))
    np.testing.assert_array_equal(crop, wanted["crops_bgr"][0])


def test_red_for_blue_is_another_face(backend: tuple[str, TddfaV2]) -> None:
    image = portrait("astronaut")
    swapped = Image(np.ascontiguousarray(image.pixels[..., ::-1]))
    (face,), (other,) = one(backend[1], image, swapped)
    assert other.score > 0.9, "the detector does not mind"
    assert np.abs(face.raw - other.raw).max() > 0.05, "the shape does"


def test_several_faces_in_one_picture_are_the_faces_of_each(backend: tuple[str, TddfaV2]) -> None:
    left, right = portrait("astronaut"), portrait("grace_hopper")
    wide = np.full((640, 1040, 3), 127, dtype=np.uint8)
    wide[64 : 64 + 512, :512], wide[:600, 528:] = left.pixels, right.pixels
    together = one(backend[1], Image(wide))[0]
    assert len(together) == 2
    alone = [one(backend[1], image)[0][0] for image in (left, right)]
    by_place = sorted(together, key=lambda face: face.box[0])
    for face, single, shift in zip(by_place, alone, ((0, 64), (528, 0)), strict=True):
        # The detector's grid lies elsewhere on each face, so that its box moves by a pixel or two.
        assert np.abs(face.landmarks - shift - single.landmarks).max() < 6.0
        assert np.abs(face.parameters["identity"] - single.parameters["identity"]).max() > 0


def test_a_face_at_the_border_is_continued_in_black(backend: tuple[str, TddfaV2]) -> None:
    image = portrait("grace_hopper")
    (whole,) = one(backend[1], image)[0]
    cut = 200
    (face,) = one(backend[1], Image(np.ascontiguousarray(image.pixels[:, cut:])))[0]
    assert face.region[0] < 0, "the region reaches beyond the picture"
    assert np.abs(face.landmarks + np.array([cut, 0]) - whole.landmarks).max() < 25.0
    black = np.zeros_like(image.pixels)
    black[:, cut:] = image.pixels[:, cut:]
    square = np.array(face.region)
    shifted = square + np.array([cut, 0, cut, 0])
    cropped = [
        region.cropped(np.ascontiguousarray(p[..., ::-1]), s)
        for p, s in ((image.pixels[:, cut:], square), (black, shifted))
    ]
    np.testing.assert_array_equal(*cropped)


def test_pose_and_scale_of_parameters_are_consistent(backend: tuple[str, TddfaV2]) -> None:
    (face,) = one(backend[1], portrait("astronaut"))[0]
    parameters = Parameters(
        face.parameters["camera"], face.parameters["identity"], face.parameters["expression"]
    )
    np.testing.assert_allclose(parameters.flat, face.parameters["parameters"])
    scale, rotation = scale_and_rotation(parameters.camera)
    assert scale > 0
    np.testing.assert_allclose(np.linalg.norm(rotation[:2], axis=1), 1, atol=1e-6)
    yaw, pitch, roll = face.angles
    assert abs(yaw) < 10
    assert abs(pitch) < 20
    assert abs(roll) < 10


def test_the_anchors_are_the_published_ones() -> None:
    height, width = 200, 130
    anchors = boxes.priors(height, width)
    expected = []
    for stride, kinds in ((32, ((32, 4), (64, 2), (128, 1))), (64, ((256, 1),)), (128, ((512, 1),))):
        for row in range(-(-height // stride)):
            for column in range(-(-width // stride)):
                for side, along in kinds:
                    steps = [0.5] if along == 1 else [k / along for k in range(along)]
                    for dy in steps:
                        for dx in steps:
                            center = ((column + dx) * stride / width, (row + dy) * stride / height)
                            expected.append((*center, side / width, side / height))
    np.testing.assert_allclose(anchors, expected, rtol=1e-6)
