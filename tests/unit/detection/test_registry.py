from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import recon_service.detection
from recon_service.application.computing.detectors import detector_kinds
from recon_service.detection.detector import DetectorKind, FaceDetector
from recon_service.detection.registry import (
    DetectorRegistry,
    DetectorUnavailable,
    UnknownDetector,
    by_name,
    own_kinds,
)
from recon_service.detectors import load_detectors
from recon_service.domain.landmark_schemes import SCHEMES
from recon_service.networks.onnx_runtime import Device
from recon_service.weights import WeightsMissing, WeightStore


class Blind:
    """Sees nothing."""

    name = "blind"
    device = Device.CPU

    def detect(self, image: object) -> tuple[()]:
        return ()

    def detect_batch(self, images: Sequence[object]) -> tuple[tuple[()], ...]:
        return tuple(() for _ in images)


def kind(name: str, **more: object) -> DetectorKind:
    return DetectorKind(
        name=name,
        title=name,
        scheme="none",
        build=lambda weights, device, base: Blind(),  # type: ignore[arg-type, return-value]
        **more,  # type: ignore[arg-type]
    )


def nowhere(name: str) -> Path:
    raise WeightsMissing(f"{name} is not here.", next_step=f"Run: recon weights pull {name}")


def test_every_kind_is_declared_soundly() -> None:
    manifest = WeightStore.from_environment({}).manifest
    names = {file.name for file in (*manifest.files, *manifest.derived)}
    kinds = detector_kinds()
    assert own_kinds().keys() < kinds.keys()
    for name, each in kinds.items():
        assert each.name == name
        assert each.scheme in SCHEMES
        assert set(each.weights) <= names
        assert each.base is None or each.base in kinds


def test_a_name_that_two_have_is_refused() -> None:
    with pytest.raises(ValueError, match="twin"):
        by_name([kind("twin"), kind("twin")])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownDetector, match="one, two"):
        DetectorRegistry(by_name([kind("one"), kind("two")]), nowhere).build("three")


def test_what_is_missing_is_told_with_what_mends_it() -> None:
    kinds = [
        kind("here"),
        kind("no_package", packages=(("no_such_package_anywhere", "cpu"),)),
        kind("no_file", weights=("some-file",)),
        kind("no_base", base="no_file"),
    ]
    registry = DetectorRegistry(by_name(kinds), nowhere)
    found = {each.kind.name: each for each in registry.availability()}
    assert found["here"].available
    assert registry.build("here").detect(None) == ()  # type: ignore[arg-type]
    for name, fault, mend in (
        ("no_package", DetectorUnavailable, "[cpu]"),
        ("no_file", WeightsMissing, "recon weights pull some-file"),
        ("no_base", WeightsMissing, "recon weights pull some-file"),
    ):
        assert not found[name].available
        assert isinstance(found[name].fault, fault)
        assert mend in str(found[name].fault)
        with pytest.raises(fault):
            registry.build(name)


def test_a_detector_is_found_by_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "newcomer.py").write_text(
        "from recon_service.detection.detector import DetectorKind\n"
        "DETECTOR = DetectorKind(name='newcomer', title='', scheme='none', build=lambda *given: None)\n"
    )
    monkeypatch.setattr(
        recon_service.detection, "__path__", [*recon_service.detection.__path__, str(tmp_path)]
    )
    own_kinds.cache_clear()
    try:
        assert own_kinds()["newcomer"].scheme == "none"
    finally:
        own_kinds.cache_clear()
        sys.modules.pop("recon_service.detection.newcomer", None)


def test_the_base_is_built_and_handed_over() -> None:
    handed: list[FaceDetector | None] = []

    def build(weights: Sequence[Path], device: Device, base: FaceDetector | None) -> FaceDetector:
        handed.append(base)
        return Blind()  # type: ignore[return-value]

    upper = DetectorKind(name="upper", title="", scheme="none", build=build, base="lower")
    DetectorRegistry(by_name([upper, kind("lower")]), nowhere).build("upper", Device.CPU)
    assert isinstance(handed[0], Blind)


def test_non_commercial_detectors_are_unavailable_until_they_are_allowed(
    weights_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", raising=False)
    found = {each.kind.name: each for each in load_detectors().availability()}
    assert not found["yolov5_face"].available
    assert "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1" in str(found["yolov5_face"].fault)
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    found = {each.kind.name: each for each in load_detectors().availability()}
    assert found["yolov5_face"].available
