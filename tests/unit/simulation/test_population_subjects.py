from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image as PillowImage

from recon_service.application.computing.enroll import examine
from recon_service.domain.mesh import Mesh
from recon_service.geometry import raycast
from recon_service.imaging import decode_image
from recon_service.simulation import Ideal, Stereo, StructuredLight, TimeOfFlight
from recon_service.simulation.contact_sheet import main
from recon_service.simulation.population import SyntheticPopulation
from recon_service.simulation.population.anatomy import Part
from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.light import sample_lighting
from recon_service.simulation.population.phone import sample_backdrop
from recon_service.simulation.population.photographer import Scene, photographed
from recon_service.simulation.population.portraits import dense_pipeline
from recon_service.simulation.population.visits import without_scale_error


@pytest.fixture(scope="module")
def photographs(population):
    return population.subject(3).photographs(3)


def test_selfies_do_not_depend_on_order_number_or_process(population, photographs):
    fresh = pickle.loads(pickle.dumps(population))
    fresh.subject(1).visit(Ideal(), 0, 1)
    assert fresh.subject(3).photograph(1).content == photographs[1].content
    assert fresh.subject(3).photograph(0).content == photographs[0].content
    assert len({p.content for p in photographs}) == 3


def test_subjects_and_seeds_differ(population):
    faces = [population.subject(n).face().vertices for n in range(5)]
    for a in range(5):
        for b in range(a):
            assert np.linalg.norm(faces[a] - faces[b], axis=1).mean() > 2.0


def test_the_file_states_the_focal_length_about(photographs):
    for photo in photographs:
        image = decode_image(photo.content)
        np.testing.assert_array_equal(image.pixels, photo.image.pixels)
        assert image.focal_35mm == photo.image.focal_35mm
        assert image.camera().fx == pytest.approx(photo.camera.fx, rel=0.08)
        assert image.camera().cx == photo.camera.cx


def test_the_head_turns_about_as_asked(population):
    asked = (-40.0, 0.0, 25.0)
    for photo, yaw in zip(population.subject(2).photographs(yaws=asked), asked, strict=True):
        assert photo.pose.angles()[0] == pytest.approx(yaw, abs=12.0)


def test_a_degraded_selfie_is_the_same_moment_at_half_the_size(population, photographs):
    poor = population.subject(3).photographs(1, degraded=True)[0]
    good = photographs[0]
    assert (poor.image.width, poor.image.height) == (good.image.width // 2, good.image.height // 2)
    np.testing.assert_array_equal(poor.pose.rotation, good.pose.rotation)
    point = np.array([[10.0, 20.0, 400.0]])
    np.testing.assert_allclose((good.camera.project(point) + 0.5) / 2 - 0.5, poor.camera.project(point))
    assert len(poor.content) < len(good.content)


def test_skin_is_where_an_exact_ray_caster_sees_it(population):
    person = population.subject(4).person
    photo = population.subject(4).photographs(1)[0]
    figure = person.figure(photo.expression)
    rng = np.random.default_rng(0)
    scene = Scene(
        figure,
        person.sky,
        photo.pose,
        photo.camera,
        sample_lighting(rng),
        person.skin,
        person.resources.tiles,
    )
    backdrop = sample_backdrop(photo.camera.width, photo.camera.height, rng)
    linear, skin = photographed(scene, person.resources.basis, backdrop, rng)
    hits = raycast(Mesh(photo.pose.apply(figure.mesh.vertices), figure.mesh.triangles), photo.camera)
    exact = hits.mask & (figure.part[hits.triangle] == Part.SKIN)
    assert (skin == exact).mean() > 0.999
    away = ~hits.mask
    assert (np.abs(linear - backdrop).max(axis=2)[away] < 1e-6).mean() > 0.95


def test_the_real_landmark_network_finds_the_face_within_millimetres(population):
    pipeline = dense_pipeline()
    model = pipeline.landmark_model
    errors = []
    for number in (0, 1, 6):
        subject = population.subject(number)
        for photo in subject.photographs(3):
            found = examine(photo.content, pipeline)
            assert found.landmarks is not None
            head = subject.face(photo.expression).vertices
            eyes = photo.pose.apply(np.stack([head[ring].mean(axis=0) for ring in _eyes(subject)]))
            seen = np.stack([found.landmarks.points[ring].mean(axis=0) for ring in ([33, 133], [263, 362])])
            pixels = np.linalg.norm(seen - photo.camera.project(eyes), axis=1)
            errors += list(pixels * eyes[:, 2] / photo.camera.fx)
    assert model.scheme == "facemesh468"
    assert np.median(errors) < 3.0
    assert max(errors) < 9.0


def _eyes(subject):
    return subject.basis.borders[:2]


@pytest.mark.parametrize("sensor", [Stereo(), StructuredLight(), TimeOfFlight()])
def test_a_visit_is_reproducible_and_shows_the_face(population, sensor):
    subject = population.subject(2)
    seen = subject.visit_frames(sensor, 1, 2)
    again = [subject.visit_frame(sensor, 1, 1).frame]
    np.testing.assert_array_equal(again[0].depth, seen[1].frame.depth)
    other = subject.visit(sensor, 2, 1)
    assert other[0].depth.shape != again[0].depth.shape or (other[0].depth != again[0].depth).any()
    for frame in seen:
        face = frame.pose.apply(subject.face(frame.expression).vertices[: subject.basis.narrow])
        width = np.ptp(frame.frame.camera.project(face)[:, 0])
        assert (40 if isinstance(sensor, TimeOfFlight) else 130) < width < 260
        nose = face[subject.basis.ibug68[30]]
        column, row = np.round(frame.frame.camera.project(nose[None])[0]).astype(int)
        around = frame.frame.depth[row - 3 : row + 4, column - 3 : column + 4]
        assert np.median(around[around > 0]) == pytest.approx(nose[2], abs=12.0)


def test_an_ideal_sensor_measures_the_true_face_to_its_rounding(population):
    subject = population.subject(5)
    seen = subject.visit_frames(Ideal(), 0, 1)[0]
    posed = Mesh(seen.pose.apply(subject.face(seen.expression).vertices), subject.face().triangles)
    truth = raycast(posed, seen.frame.camera)
    both = truth.mask & (seen.frame.depth > 0)
    difference = np.abs(seen.frame.depth - truth.depth)[both]
    # Hair and eyes hide some of the face.
    assert (difference <= 0.051).mean() > 0.7


def test_the_scale_error_is_one_of_the_visit():
    assert without_scale_error(Stereo()).scale_sd == 0.0
    assert without_scale_error(Ideal()) == Ideal()


def test_a_visit_can_bring_aligned_pictures(population):
    frame = population.subject(2).visit(Stereo(), 0, 1, images=True)[0]
    assert frame.image is not None
    assert (frame.image.height, frame.image.width) == frame.depth.shape


def test_what_is_kept_is_not_rendered_again(population, tmp_path):
    kept = SyntheticPopulation(population.spec, cache=tmp_path)
    kept._resources = population._resources  # read once for all tests
    first = kept.subject(3).photographs(1)[0].content, kept.subject(3).visit(Stereo(), 0, 1)[0].depth
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert len(files) == 2
    assert all(path.parts[0] == population.spec.key() for path in files)
    stamps = [(tmp_path / path).stat().st_mtime_ns for path in files]
    again = kept.subject(3).photographs(1)[0].content, kept.subject(3).visit(Stereo(), 0, 1)[0].depth
    assert again[0] == first[0] == population.subject(3).photographs(1)[0].content
    np.testing.assert_array_equal(again[1], first[1])
    assert stamps == [(tmp_path / path).stat().st_mtime_ns for path in files]


def test_a_failed_rendering_leaves_no_file(tmp_path):
    def fails() -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Kept(tmp_path).content("a.jpg", fails)
    assert list(tmp_path.iterdir()) == []
    assert Kept(None).content("a.jpg", lambda: b"x") == b"x"


def test_the_command_writes_a_sheet(population, tmp_path):
    out = tmp_path / "sheet.png"
    assert main(["--subjects", "1", "--height", "120", "--across", "1", "--out", str(out)]) == 0
    assert PillowImage.open(io.BytesIO(out.read_bytes())).size == (7 * 86, 120)


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR", raising=False)
    assert main(["--subjects", "1", "--out", str(tmp_path / "sheet.png")]) == 1
    assert "recon weights" in capsys.readouterr().err
