"""DECA and FaceVerse as backends: what a known output means, torch and ONNX side by side, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue, ReconstructionFailed, WeightsUnavailable
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.fitting.solver import fit_identity
from recon_service.reconstruction.faces_of import JITTER, Cut, EncodedCrops, jitter_of
from tests.heads import face as canonical
from tests.images import detector, landmarker, portrait

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")

from recon_service.reconstruction.deca import DecaReconstructor, load_deca
from recon_service.reconstruction.encoders import Engine
from recon_service.reconstruction.faceverse import FaceVerseReconstructor, load_faceverse
from recon_service.reconstruction.faceverse.reconstructor import head_axes
from recon_service.reconstruction.surface_evidence import REGIONS, SurfaceNoise, evidence_of
from tests.backends import backend, options, path_of
from tests.heads import FACEVERSE_SCALE, faceverse
from third_party.deca import layout as deca_layout
from third_party.deca.crop import crop_of_detection
from third_party.faceverse.crop import crop_of

BOX = (100.0, 100.0, 220.0, 240.0)
KNOWN = DetectedFace(BOX, 0.9, np.zeros((0, 2)), scheme="none")
EXACT = SurfaceNoise(dict.fromkeys(REGIONS, 0.01), 1e4)


def deca_output(**parts: np.ndarray) -> np.ndarray:
    raw = np.zeros(deca_layout.OUTPUTS, np.float32)
    raw[deca_layout.CAMERA] = 8.0, 0.0, -0.0
    for name, value in parts.items():
        place = getattr(deca_layout, name)
        raw[place.start : place.start + len(value)] = value
    return raw[None]


def faceverse_output(identity: np.ndarray, angles: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    raw = np.zeros(621, np.float32)
    raw[: len(identity)] = identity
    raw[611:614] = angles
    return raw[None]


@pytest.fixture(scope="module")
def deca() -> DecaReconstructor:
    found = backend("deca")
    assert isinstance(found, DecaReconstructor)
    return found


@pytest.fixture(scope="module")
def face_verse() -> FaceVerseReconstructor:
    found = backend("faceverse")
    assert isinstance(found, FaceVerseReconstructor)
    return found


@pytest.mark.parametrize("name", ["deca", "faceverse"])
def test_the_identity_behind_the_mesh_comes_out_of_the_fit(name: str) -> None:
    """The small heads' leading modes are the canonical model's: with exact points, the fit finds them."""
    identity = np.random.default_rng(1).normal(size=60)
    subject = backend(name)
    pixels = np.zeros((1, 3, 8, 8), np.float32)
    if isinstance(subject, DecaReconstructor):
        face = subject.assemble(
            Cut(KNOWN, crop_of_detection(BOX), pixels), deca_output(SHAPE=identity, POSE=np.full(6, 0.2))
        )
    else:
        assert isinstance(subject, FaceVerseReconstructor)
        face = subject.assemble(
            Cut(KNOWN, crop_of(BOX), pixels), faceverse_output(identity, (0.1, 0.3, -0.1))
        )
    evidence = evidence_of(subject.surface(face), name, canonical(), subject._correspondence, EXACT)
    found = fit_identity(canonical(), (), surfaces=(evidence,)).posterior.mean
    np.testing.assert_allclose(found, identity, atol=0.05)


def test_a_pose_turns_the_head_and_leaves_the_neutral_mesh(deca: DecaReconstructor) -> None:
    cut = Cut(KNOWN, crop_of_detection(BOX), np.zeros((1, 3, 8, 8), np.float32))
    straight = deca.assemble(cut, deca_output())
    turned = deca.assemble(cut, deca_output(POSE=np.array([0.0, np.deg2rad(20), 0.0, 0.3, 0.0, 0.0])))
    np.testing.assert_allclose(straight.rotation, np.diag([1.0, -1.0, -1.0]), atol=1e-7)
    assert turned.angles == pytest.approx((20.0, 0.0, 0.0), abs=1e-4)
    assert turned.pose == pytest.approx((20.0, 0.0, 0.0), abs=1e-4)
    np.testing.assert_array_equal(straight.neutral.vertices, turned.neutral.vertices)
    # Turned to the subject's left: in the picture, the tip of the nose goes right against the eyes.
    nose = [f.landmarks[30, 0] - f.landmarks[36:48, 0].mean() for f in (straight, turned)]
    assert nose[1] > nose[0] + 2


def test_the_posed_mesh_is_the_neutral_one_scaled_into_the_picture(deca: DecaReconstructor) -> None:
    crop = crop_of_detection(BOX)
    face = deca.assemble(Cut(KNOWN, crop, np.zeros((1, 3, 8, 8), np.float32)), deca_output())
    scale = 8.0 * 112 / 1000 * crop.step  # pixels of the picture per millimeter
    middle = crop.to_image(np.array([[112.0, 112.0]]))[0]
    wanted = face.neutral.vertices * [scale, -scale, -scale] + [*middle, 0.0]
    np.testing.assert_allclose(face.posed, wanted, atol=1e-6)


def test_faceverse_stands_upright_in_the_head_frame(face_verse: FaceVerseReconstructor) -> None:
    cut = Cut(KNOWN, crop_of(BOX), np.zeros((1, 3, 8, 8), np.float32))
    face = face_verse.assemble(cut, faceverse_output(np.zeros(0)))
    mean = canonical().vertices.mean
    np.testing.assert_allclose(face.neutral.vertices[: len(mean)], mean * FACEVERSE_SCALE, atol=1e-3)
    np.testing.assert_allclose(face.rotation, np.diag([1.0, -1.0, -1.0]), atol=1e-12)
    turned = face_verse.assemble(cut, faceverse_output(np.zeros(0), (0.0, np.deg2rad(-20), 0.0)))
    assert turned.pose == pytest.approx((-20.0, 0.0, 0.0), abs=1e-5)
    # The head turned about its own axis, down in the camera: to the subject's left.
    assert turned.angles[0] == pytest.approx(20.0, abs=1e-4)
    nose = [f.landmarks[30, 0] - f.landmarks[36:48, 0].mean() for f in (face, turned)]
    assert nose[1] > nose[0] + 2


def test_any_axes_of_the_model_are_recognized_and_a_mirrored_one_is_refused() -> None:
    landmarks = faceverse().mean[faceverse().landmarks]
    upright = landmarks @ head_axes(landmarks).T
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for axes in (np.eye(3), turn, np.diag([-1.0, -1.0, 1.0])):
        np.testing.assert_allclose(head_axes(upright @ axes) @ axes.T, np.eye(3), atol=1e-12)
    with pytest.raises(WeightsUnavailable, match="upright face"):
        head_axes(upright * [1.0, 1.0, -1.0])


@pytest.mark.parametrize("name", ["deca", "faceverse"])
def test_torch_and_onnx_agree(name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed (make torch)")
    given = options()
    if name == "deca":
        other = load_deca(
            encoder=path_of("deca"),
            flame=path_of("flame"),
            landmarks=path_of("flame-landmarks"),
            detector=detector(),
            landmarker=landmarker(),
            options=given,
            engine=Engine.TORCH,
        )
    else:
        other = load_faceverse(
            encoder=path_of("faceverse-encoder"),
            head=path_of("faceverse"),
            detector=detector(),
            landmarker=landmarker(),
            options=given,
            engine=Engine.TORCH,
        )
    item = (Image(portrait("astronaut")), None)
    (one,), (two,) = backend(name).reconstruct([item]), other.reconstruct([item])
    np.testing.assert_allclose(one[0].raw, two[0].raw, atol=5e-5)
    np.testing.assert_allclose(one[0].landmarks, two[0].landmarks, atol=1e-2)


def test_without_a_landmarker_deca_cuts_by_the_detectors_box() -> None:
    by_box = load_deca(
        encoder=path_of("deca"),
        flame=path_of("flame"),
        landmarks=path_of("flame-landmarks"),
        detector=detector(),
    )
    image = Image(portrait("grace_hopper"))
    (known,) = detector().detect(image)
    ((face,),) = by_box.reconstruct([(image, None)])
    crop = crop_of_detection(known.box)
    assert face.region[:2] == pytest.approx((crop.left, crop.top))


def test_outputs_that_are_not_finite_are_refused(deca: DecaReconstructor) -> None:
    cut = Cut(KNOWN, crop_of_detection(BOX), np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InvalidValue, match="finite"):
        deca.assemble(cut, np.full((1, 236), np.nan, np.float32))


def test_more_crops_than_there_are_is_refused() -> None:
    assert len(jitter_of(len(JITTER))) == len(JITTER)
    for crops in (0, len(JITTER) + 1):
        with pytest.raises(ReconstructionFailed):
            jitter_of(crops)


def test_what_the_encoder_cannot_take_at_once_is_halved(deca: DecaReconstructor) -> None:
    """As memory runs out: batches of one still pass, and nobody is lost or confused."""
    seen: list[int] = []

    def encoder(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        if len(images) > 2:
            raise MemoryError
        return np.repeat(images.reshape(len(images), -1)[:, :1], 3, axis=1)

    image = Image(portrait("astronaut"))
    ((reference,),) = deca.reconstruct([(image, None)])
    values: list[float] = []

    def assemble(_cut: Cut[None], outputs: np.ndarray) -> object:
        values.append(float(outputs[0, 0]))
        return reference

    work: EncodedCrops[None] = EncodedCrops("test", encoder, assemble, 8)  # type: ignore[arg-type]
    cuts = [[Cut(KNOWN, None, np.full((1, 3, 2, 2), value, np.float32))] for value in range(7)]
    assert len(work.outcomes(cuts)) == 7
    assert values == [0, 1, 2, 3, 4, 5, 6]
    assert seen[0] == 7
    assert max(n for n in seen if n <= 2) <= 2


@pytest.mark.parametrize("name", ["deca", "flame", "flame-landmarks"])
def test_damaged_files_are_typed_errors(name: str, tmp_path: Path) -> None:
    files = {each: path_of(each) for each in ("deca", "flame", "flame-landmarks")}
    for content in (b"", b"nonsense" * 40, files[name].read_bytes()[:1000]):
        (tmp_path / "file").write_bytes(content)
        given = {**files, name: tmp_path / "file"}
        with pytest.raises(WeightsUnavailable, match="recon weights list"):
            load_deca(
                encoder=given["deca"],
                flame=given["flame"],
                landmarks=given["flame-landmarks"],
                detector=detector(),
            )
    wrong = files["flame-landmarks"] if name == "flame" else files["flame"]
    given = {**files, name: wrong}
    with pytest.raises(WeightsUnavailable):
        load_deca(
            encoder=given["deca"],
            flame=given["flame"],
            landmarks=given["flame-landmarks"],
            detector=detector(),
        )
