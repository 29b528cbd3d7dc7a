"""What every reconstruction backend must do; a new one is added to the registry, and here if it needs files.

DECA and FaceVerse run on made-up files of the real formats, 3DDFA-V2 on the mirror's.
"""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recon_service.domain.errors import ReconError, WeightsUnavailable
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.fitting.solver import fit_identity
from recon_service.reconstruction import registry
from recon_service.reconstruction.backend import Item, Reconstructor
from recon_service.weights.derived import StoredFiles
from recon_service.weights.store import WeightStore
from tests.backends import MADE_UP, backend
from tests.heads import face as canonical
from tests.images import PORTRAITS, detector, portrait

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")

TOLERANCE = 5e-5
"""Of the network's output, alone and in a batch."""


@pytest.fixture(params=sorted(registry.BACKENDS))
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in MADE_UP:
        request.getfixturevalue("weights_mirror")
    return str(request.param)


@pytest.fixture
def subject(name: str) -> Reconstructor:
    return backend(name)


def both() -> Image:
    """Two people beside each other."""
    pictures = [portrait("astronaut")[:300, 80:380], portrait("grace_hopper")[130:430, 120:420]]
    return Image(np.ascontiguousarray(np.concatenate(pictures, axis=1)))


def items() -> list[Item]:
    """Portraits, two people at once, nobody, a face that the picture cuts off, a face that was given."""
    grace = Image(portrait("grace_hopper"))
    (given,) = detector().detect(grace)
    return [
        (Image(portrait("astronaut")), None),
        (grace, None),
        (both(), None),
        (Image(np.full((240, 320, 3), 90, np.uint8)), None),
        (Image(np.ascontiguousarray(portrait("astronaut")[:, 210:])), None),
        (grace, given),
    ]


def faces_of(subject: Reconstructor, *given: Item) -> list[tuple[ReconstructedFace, ...]]:
    outcomes = subject.reconstruct(given)
    for outcome in outcomes:
        assert not isinstance(outcome, ReconError), outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, ReconError)]


def test_it_is_named_as_it_is_registered(subject: Reconstructor, name: str) -> None:
    assert subject.name == name == registry.find(name).name


@pytest.mark.parametrize("picture", PORTRAITS)
def test_one_face_in_each_portrait_where_the_face_is(subject: Reconstructor, picture: str) -> None:
    image = Image(portrait(picture))
    ((face,),) = faces_of(subject, (image, None))
    (known,) = detector().detect(image)
    assert face.backend == subject.name
    middle = np.array(known.box).reshape(2, 2).mean(axis=0)
    left, top, right, bottom = face.region
    assert left < middle[0] < right
    assert top < middle[1] < bottom
    # The landmarks lie on the posed mesh, the posed mesh in the region.
    away = np.linalg.norm(face.landmarks[:, None] - face.posed[None, :, :2], axis=2).min(axis=1)
    assert away.max() < 0.05 * (right - left)
    inside = ((face.landmarks > [left, top]) & (face.landmarks < [right, bottom])).all(axis=1)
    assert inside.mean() > 0.9
    # The subject's right eye is on the left of the picture, the brows above the mouth.
    assert face.landmarks[36, 0] < face.landmarks[45, 0]
    assert face.landmarks[17:27, 1].max() < face.landmarks[48:60, 1].min()


def test_the_neutral_mesh_is_a_head_in_the_head_frame_in_millimeters(subject: Reconstructor) -> None:
    ((face,),) = faces_of(subject, (Image(portrait("grace_hopper")), None))
    mean, landmarks = subject.mean_surface()
    assert 100 < np.ptp(mean.vertices[:, 1]) < 400
    across = landmarks[45] - landmarks[36]
    up = landmarks[27] - landmarks[8]
    assert across[0] > 0.9 * np.linalg.norm(across)
    assert up[1] > 0.8 * np.linalg.norm(up)
    assert landmarks[30, 2] > landmarks[[36, 45], 2].max()
    # Triangles are counter-clockwise from outside: the face's normals point out of it.
    used = np.unique(mean.triangles)
    assert np.median(mean.vertex_normals()[used][:, 2]) > 0
    assert face.neutral.vertices.shape == mean.vertices.shape
    assert len(face.posed) == len(face.neutral.vertices)
    size = np.linalg.norm(np.ptp(face.neutral.vertices[used], axis=0))
    assert size == pytest.approx(np.linalg.norm(np.ptp(mean.vertices[used], axis=0)), rel=0.3)


def test_the_rotation_is_of_a_frontal_portrait(subject: Reconstructor) -> None:
    ((face,),) = faces_of(subject, (Image(portrait("grace_hopper")), None))
    assert np.abs(face.angles).max() < 30
    np.testing.assert_allclose(face.rotation @ face.rotation.T, np.eye(3), atol=1e-6)


def test_answers_repeat_to_the_last_bit_and_pictures_stay_as_they_were(subject: Reconstructor) -> None:
    image = Image(portrait("astronaut").copy())
    (first,), (second,) = (faces_of(subject, (image, None)) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.raw, two.raw)
        np.testing.assert_array_equal(one.posed, two.posed)
        np.testing.assert_array_equal(one.neutral.vertices, two.neutral.vertices)
    np.testing.assert_array_equal(image.pixels, portrait("astronaut"))


def test_a_batch_says_what_each_alone_says_in_any_order(subject: Reconstructor) -> None:
    given = items()
    alone = [faces_of(subject, item)[0] for item in given]
    order = np.random.default_rng(0).permutation(len(given))
    for i, faces in zip(order, faces_of(subject, *[given[i] for i in order]), strict=True):
        assert len(faces) == len(alone[i])
        for one, other in zip(faces, alone[i], strict=True):
            assert one.box == pytest.approx(other.box, abs=1e-2)
            np.testing.assert_allclose(one.raw, other.raw, atol=TOLERANCE)
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.02)


def test_different_faces_give_different_answers(subject: Reconstructor) -> None:
    faces = [f for (f,) in faces_of(subject, *((Image(portrait(p)), None) for p in PORTRAITS))]
    assert np.abs(faces[0].raw - faces[1].raw).max() > 1e-2
    away = np.linalg.norm(faces[0].neutral.vertices - faces[1].neutral.vertices, axis=1)
    assert np.median(away) > 0.01


def test_several_faces_come_best_first(subject: Reconstructor) -> None:
    ((one, other),) = faces_of(subject, (both(), None))
    assert one.score >= other.score
    assert sorted(int((f.box[0] + f.box[2]) / 2 > 300) for f in (one, other)) == [0, 1]


def test_no_face_is_no_error(subject: Reconstructor) -> None:
    assert faces_of(subject, (Image(np.full((240, 320, 3), 90, np.uint8)), None)) == [()]
    assert subject.reconstruct([]) == ()


def test_a_given_face_is_the_one_reconstructed(subject: Reconstructor) -> None:
    picture = both()
    for known in detector().detect(picture):
        ((face,),) = faces_of(subject, (picture, known))
        middle = (face.box[0] + face.box[2]) / 2
        assert middle == pytest.approx((known.box[0] + known.box[2]) / 2, abs=0.25 * known.width)


@pytest.mark.parametrize("corner", [(0, 0), (256, 530)])
def test_a_face_at_the_border_is_reconstructed(subject: Reconstructor, corner: tuple[int, int]) -> None:
    """The box reaches far beyond the picture: what is not seen is filled in, nothing fails."""
    x, y = corner
    keypoints = np.array([[x - 20, y - 15], [x + 20, y - 15], [x, y], [x, y + 20], [x - 45, y], [x + 45, y]])
    known = DetectedFace((x - 60.0, y - 60.0, x + 60.0, y + 60.0), 0.9, keypoints.astype(float))
    ((face,),) = faces_of(subject, (Image(portrait("astronaut")), known))
    assert np.isfinite(face.posed).all()


def test_a_spoiled_item_fails_alone(subject: Reconstructor) -> None:
    spoiled = Image(portrait("astronaut"))
    object.__setattr__(spoiled, "pixels", np.full((512, 512, 3), np.nan))
    good = (Image(portrait("grace_hopper")), None)
    first, second, third = subject.reconstruct([good, (spoiled, None), good])
    assert isinstance(second, ReconError)
    for outcome in (first, third):
        assert not isinstance(outcome, ReconError)
        ((alone,),) = faces_of(subject, good)
        np.testing.assert_allclose(outcome[0].raw, alone.raw, atol=TOLERANCE)


def test_threads_get_the_answers_of_one(subject: Reconstructor) -> None:
    given = [(Image(portrait(p)), None) for p in PORTRAITS] * 2
    alone = [faces_of(subject, item)[0][0].raw for item in given[:2]] * 2
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda item: faces_of(subject, item)[0][0].raw, given))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_faces_cross_processes_unchanged(subject: Reconstructor) -> None:
    ((face,),) = faces_of(subject, (Image(portrait("astronaut")), None))
    there = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(there.neutral.vertices, face.neutral.vertices)
    assert set(there.parameters) == set(face.parameters)


def test_displaced_crops_change_the_face_not_the_raw_output(name: str) -> None:
    item = (Image(portrait("astronaut")), None)
    ((one,),) = faces_of(backend(name), item)
    ((many,),) = faces_of(backend(name, crops=2), item)
    np.testing.assert_allclose(many.raw, one.raw, atol=TOLERANCE)
    np.testing.assert_allclose(many.rotation, one.rotation, atol=1e-3)
    assert np.abs(many.neutral.vertices - one.neutral.vertices).max() > 1e-3


def test_evidence_is_about_the_canonical_model(subject: Reconstructor) -> None:
    ((face,),) = faces_of(subject, (Image(portrait("astronaut")), None))
    model = canonical()
    evidence = subject.evidence(face, model)
    assert evidence.source == subject.name
    assert evidence.triangles.max() < len(model.triangles)
    assert len(evidence.points) > 0.5 * len(model.surface)
    assert evidence.effective_points <= len(evidence.points)
    np.testing.assert_allclose(evidence.barycentric.sum(axis=1), 1.0)
    fit = fit_identity(model, (), surfaces=(evidence,))
    assert fit.posterior.space == model.space
    # Something was learned, and nobody is beyond plausibility.
    deviations = np.sqrt(np.diag(fit.posterior.covariance))
    assert deviations.min() < 0.99
    assert np.abs(fit.posterior.mean).max() < 5


def test_evidence_of_one_backend_is_not_read_by_another(name: str) -> None:
    other = next(each for each in MADE_UP if each != name)
    ((face,),) = faces_of(backend(other), (Image(portrait("astronaut")), None))
    with pytest.raises(ReconError):
        backend(name).evidence(face, canonical())


def test_without_files_it_is_unavailable_and_says_how_to_get_them(name: str, tmp_path: object) -> None:
    empty = {"RECON_WEIGHTS_DIR": str(tmp_path), "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "1"}
    files = StoredFiles(WeightStore.from_environment(empty))
    (found,) = (each for each in registry.availability(files) if each.backend.name == name)
    assert isinstance(found.problem, WeightsUnavailable)
    assert "recon weights " in found.problem.next_step
    assert found.backend.license
    with pytest.raises(WeightsUnavailable, match="recon weights "):
        registry.load(name, files)


def test_nobody_allowed_files_for_research_only(name: str, tmp_path: object) -> None:
    files = StoredFiles(WeightStore.from_environment({"RECON_WEIGHTS_DIR": str(tmp_path)}))
    with pytest.raises(WeightsUnavailable, match=r"RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1|recon weights "):
        registry.load(name, files)
