"""The detector that the settings choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.cli import serve, worker
from recon_service.detection.registry import UnknownDetector
from recon_service.detectors import DEFAULT_DETECTOR, check_detector, load_detector
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.images import Image
from recon_service.settings import Settings
from recon_service.weights import WeightsNotAllowed
from tests.detectors import weight_store
from tests.images import PORTRAITS, landmarker, portrait


@pytest.fixture
def all_files(weights_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(weight_store().directory))
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")


def test_the_default_is_that_of_the_settings_and_laid_under_facemesh() -> None:
    assert Settings.from_environment({}).detector == DEFAULT_DETECTOR == "mediapipe"
    # FaceMesh follows in the pipeline: it does not run twice.
    assert load_detector().name == "mediapipe_simple"


@pytest.mark.parametrize("name", ["yunet", "retinaface", "yolov5_face", "faceboxes", "mediapipe_simple"])
def test_the_landmarks_hardly_depend_on_who_finds_the_face(all_files: None, name: str) -> None:
    found, default = load_detector(name), load_detector()
    assert found.name == name
    for picture in PORTRAITS:
        image = Image(pixels=portrait(picture))
        here, there = (
            landmarker().landmarks(image, each.detect(image)[0]).points[:, :2] for each in (found, default)
        )
        between = np.linalg.norm(there[33] - there[263])  # outer corners of the eyes
        assert np.median(np.linalg.norm(here - there, axis=1)) < 0.02 * between


def test_the_pipeline_has_the_one_that_was_chosen(all_files: None) -> None:
    parts = build_pipeline(ModelChoice.BUILTIN, appearance="off", detector="yunet")
    assert parts.detector.name == "yunet"


def test_a_file_that_is_missing_or_not_allowed_is_told_without_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR", raising=False)
    monkeypatch.delenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", raising=False)
    for name in (DEFAULT_DETECTOR, "yunet"):
        with pytest.raises(WeightsUnavailable, match="recon weights pull"):
            check_detector(name)
    with pytest.raises(WeightsNotAllowed):
        check_detector("yolov5_face")


@pytest.mark.parametrize("start", [serve, worker])
def test_neither_service_nor_worker_starts_with_one_that_does_not_exist(
    start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RECON_DETECTOR", "mediapip")
    with pytest.raises(UnknownDetector, match="mediapipe_simple"):
        start.command()  # type: ignore[attr-defined]
    assert not (tmp_path / "state").exists()
