"""The registry: what is there, what is missing, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon_service.application.records.operations import BACKENDS
from recon_service.domain.errors import UnknownBackend, WeightsUnavailable
from recon_service.reconstruction import registry
from recon_service.weights.derived import StoredFiles
from recon_service.weights.errors import WeightsMissing, WeightsNotAllowed
from recon_service.weights.store import WeightStore

pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")


def files(folder: Path, **environment: str) -> StoredFiles:
    return StoredFiles(WeightStore.from_environment({"RECON_WEIGHTS_DIR": str(folder), **environment}))


def test_without_files_every_backend_is_listed_with_what_to_do(tmp_path: Path) -> None:
    found = registry.availability(files(tmp_path, RECON_ALLOW_NONCOMMERCIAL_WEIGHTS="1"))
    assert [each.backend.name for each in found] == list(registry.BACKENDS)
    for each in found:
        assert isinstance(each.problem, WeightsMissing)
        assert "recon weights" in each.problem.next_step
        assert each.backend.license


def test_non_commercial_files_are_refused_until_allowed(tmp_path: Path, weights_mirror: Path) -> None:
    there = files(tmp_path, RECON_WEIGHTS_MIRROR=str(weights_mirror))
    with pytest.raises(WeightsNotAllowed, match="RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1"):
        registry.load("tddfa_v2", there)
    (found,) = [each for each in registry.availability(there) if each.backend.name == "tddfa_v2"]
    assert isinstance(found.problem, WeightsNotAllowed)


def test_the_stand_in_is_remarked(tmp_path: Path, weights_mirror: Path) -> None:
    there = files(tmp_path, RECON_WEIGHTS_MIRROR=str(weights_mirror), RECON_ALLOW_NONCOMMERCIAL_WEIGHTS="1")
    (found,) = [each for each in registry.availability(there) if each.backend.name == "tddfa_v2"]
    assert found.problem is None
    assert "stand-in" in found.remark


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownBackend, match="tddfa_v2"):
        registry.load("x" * 1000, files(tmp_path))


def test_every_backend_can_be_asked_for_and_names_a_derived_correspondence(tmp_path: Path) -> None:
    assert {registry.LANDMARKS_ALONE, *registry.BACKENDS} == set(BACKENDS)
    for backend in registry.BACKENDS.values():
        with pytest.raises(WeightsUnavailable, match=f"recon weights register {backend.name}"):
            files(tmp_path, RECON_ALLOW_NONCOMMERCIAL_WEIGHTS="1").locate_derived(backend.correspondence)
