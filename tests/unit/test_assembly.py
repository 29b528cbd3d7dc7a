"""The pipeline that is built from the model files that are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest

from recon_service.assembly import ModelChoice, build_pipeline, load_model, use_one_thread
from recon_service.domain.errors import WeightsUnavailable


@pytest.fixture
def nothing_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and no mirror."""
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR", raising=False)
    return tmp_path


def test_the_built_in_pipeline_speaks_one_space_and_names_its_parts() -> None:
    parts = build_pipeline(ModelChoice.BUILTIN)
    assert parts.model.name == "ict-facemesh468-builtin"
    assert len(parts.landmark_model.points) == 468
    assert parts.detector.name
    assert parts.landmarker.name
    assert parts.calibration.space == parts.model.space
    assert parts.calibration.modes == parts.model.identity_modes


def test_without_the_dense_file_the_built_in_model_stands_in(nothing_pulled: Path) -> None:
    assert load_model(ModelChoice.AUTO).name == "ict-facemesh468-builtin"


def test_who_asks_for_the_dense_model_gets_it_or_the_command_that_mends_it(nothing_pulled: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="Run: recon weights"):
        load_model(ModelChoice.DENSE)


def test_the_dense_model_is_taken_where_it_is(nothing_pulled: Path, weights_mirror: Path) -> None:
    target = nothing_pulled / "ict_facekit"
    target.mkdir()
    shutil.copy(weights_mirror / "ict_facekit" / "ict_face_model.npz", target)
    assert load_model(ModelChoice.AUTO).name == load_model(ModelChoice.DENSE).name == "ict-facekit-light"


def test_an_altered_file_never_falls_back_in_silence(nothing_pulled: Path) -> None:
    target = nothing_pulled / "ict_facekit"
    target.mkdir()
    (target / "ict_face_model.npz").write_bytes(b"altered")
    with pytest.raises(WeightsUnavailable):
        load_model(ModelChoice.AUTO)


def test_missing_networks_are_told_with_the_command_that_mends_it(nothing_pulled: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="recon weights pull"):
        build_pipeline(ModelChoice.BUILTIN)


def test_one_thread_leaves_the_choice_of_the_operator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("MKL_NUM_THREADS", "to be restored")
    monkeypatch.delenv("MKL_NUM_THREADS")
    before = cv2.getNumThreads()
    use_one_thread()
    cv2.setNumThreads(before)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("3", "2")
    assert os.environ["MKL_NUM_THREADS"] == "1"
