"""Parts of the demonstration that can be wrong by themselves."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage
from rich.console import Console

from recon_service.demo.client import depth_png
from recon_service.demo.comparisons import Comparison, Trial, print_matrix, print_summary
from recon_service.demo.recorded import recorded_people, recordings
from recon_service.demo.service import ServiceDidNotStart, running_service
from recon_service.demo.simulated import jpeg
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.imaging import decode_image
from recon_service.simulation.population.portraits import free_portraits


def test_depth_travels_to_a_twentieth_of_a_millimetre():
    depth = np.array([[0.0, 512.34], [6553.5, 7000.0]])
    frame = DepthFrame(depth, PinholeCamera(2, 2, 10.0, 10.0, 0.5, 0.5))
    units = np.asarray(PillowImage.open(io.BytesIO(depth_png(frame))))
    assert units.dtype == np.uint16
    np.testing.assert_allclose(units / 10, [[0.0, 512.3], [6553.5, 0.0]])


def test_a_rendered_jpeg_states_its_focal_length_as_a_phone_does():
    image = Image(np.full((200, 200, 3), 77, dtype=np.uint8), focal_35mm=31.0)
    assert decode_image(jpeg(image)).focal_35mm == 31.0


def test_the_portraits_are_pictures_of_two_sizes():
    sizes = {name: PillowImage.open(io.BytesIO(content)).size for name, content in free_portraits().items()}
    assert sizes == {"astronaut": (512, 512), "grace-hopper": (512, 600)}


def test_recordings_are_found_by_name_or_beside_the_mirror(tmp_path):
    folder = tmp_path / "cases" / "kinect2_dev"
    (folder / "s00").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    beside = {"RECON_WEIGHTS_MIRROR": str(tmp_path / "weights")}
    assert recordings(None, beside) == folder
    assert recordings(tmp_path / "cases", {}) == folder
    assert recordings(folder, {}) == folder
    assert recordings(None, {}) is None
    assert recordings(tmp_path / "weights", {}) is None


def test_frames_of_a_recorded_visit_have_one_camera_and_lose_nothing(cases):
    person = recorded_people(cases / "kinect2_dev")[0]
    for visit in person.visits:
        assert len({frame.camera for frame in visit}) == 1
        for frame in visit:
            assert frame.image is not None
            assert (frame.depth > 0).mean() > 0.5
    assert all(min(PillowImage.open(io.BytesIO(s)).size) >= 160 for s in person.selfies)


def test_the_summary_counts_what_the_matrix_shows():
    trial = Trial(
        "SIMULATED",
        "selfies/depth",
        ("a note",),
        (
            Comparison("a", "a", 5.0, "MATCH"),
            Comparison("a", "b", -3.0, "NO_MATCH"),
            Comparison("b", "a", 6.0, "MATCH"),
            Comparison("b", "b", None, "INCONCLUSIVE"),
        ),
    )
    assert trial.order() == pytest.approx(0.5)
    console = Console(file=io.StringIO(), width=100)
    print_matrix(console, trial)
    print_summary(console, [trial, trial])
    text = console.file.getvalue()
    assert "no score" in text
    assert "2/4" in text
    assert text.count("a note") == 1


def test_a_service_that_cannot_start_says_what_it_said(monkeypatch, tmp_path):
    monkeypatch.setenv("RECON_MODEL", "no-such-model")
    with pytest.raises(ServiceDidNotStart, match="RECON_MODEL"), running_service():
        pass
