from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.dataset import Medium
from recon_service.evaluation.datasets.folder import folder
from recon_service.evaluation.png import png
from recon_service.imaging import ImageLimits, decode_image


def recorded(root: Path, *, about: str = 'name = "pilot"\nsensor = "realsense-d435"\n') -> Path:
    (root / "dataset.toml").write_text(about)
    for number, name in enumerate(("anna", "ben")):
        (root / name / "enroll").mkdir(parents=True)
        for picture in ("front_1.png", "left_1.png", "notes.txt"):
            (root / name / "enroll" / picture).write_bytes(picture.encode())
        for visit in ("monday", "tuesday"):
            place = root / name / "probe" / visit
            place.mkdir(parents=True)
            (place / "intrinsics.json").write_text(
                json.dumps(
                    {
                        "width": 20,
                        "height": 16,
                        "fx": 9,
                        "fy": 9,
                        "cx": 3.5,
                        "cy": 2.5,
                        "millimetres_per_unit": 0.5,
                    }
                )
            )
            for frame in range(3):
                cv2.imwrite(
                    str(place / f"{frame:02d}_depth.png"), np.full((16, 20), 1000 + number, np.uint16)
                )
            (place / "01_image.png").write_bytes(png(np.full((16, 20, 3), 90, np.uint8)))
    return root


def test_the_convention_is_read(tmp_path: Path) -> None:
    dataset = folder(recorded(tmp_path))
    assert (dataset.name, dataset.sensor) == ("pilot", "realsense-d435")
    anna, ben = dataset.subjects
    pictures = [item for item in anna.items() if item.medium is Medium.IMAGE]
    frames = [item for item in anna.items() if item.medium is Medium.DEPTH]
    assert [(item.label, item.pose) for item in pictures] == [
        ("front_1.png", "front"),
        ("left_1.png", "left"),
    ]
    assert [item.label for item in frames][:2] == ["monday/00_depth.png", "monday/01_depth.png"]
    assert {item.visit for item in frames} == {"monday", "tuesday"}
    assert anna.picture(pictures[0]) == b"front_1.png"
    frame = ben.frame(frames[1])
    np.testing.assert_allclose(frame.depth, 500.5)
    assert frame.image is not None
    assert (frame.camera.fx, frame.camera_name) == (9.0, "realsense-d435")
    assert ben.frame(frames[0]).image is None


def test_a_fingerprint_follows_everything_that_is_read(tmp_path: Path) -> None:
    anna = folder(recorded(tmp_path)).subjects[0]
    frame = next(item for item in anna.items() if item.label == "monday/01_depth.png")
    place = tmp_path / "anna" / "probe" / "monday"
    seen = {anna.fingerprint(frame)}
    cv2.imwrite(str(place / "01_depth.png"), np.full((16, 20), 7, np.uint16))
    seen.add(anna.fingerprint(frame))
    (place / "01_image.png").unlink()
    seen.add(anna.fingerprint(frame))
    intrinsics = json.loads((place / "intrinsics.json").read_text()) | {"fx": 10}
    (place / "intrinsics.json").write_text(json.dumps(intrinsics))
    seen.add(anna.fingerprint(frame))
    assert len(seen) == 4


def test_limits_and_notes_come_from_the_file(tmp_path: Path) -> None:
    about = 'notes = ["small faces"]\n[quality]\nmin_eye_distance_px = 12.0\n[images]\nmin_side = 40\n'
    dataset = folder(recorded(tmp_path, about=about))
    assert dataset.notes == ("small faces",)
    assert dataset.quality_limits.min_eye_distance_px == 12.0
    assert dataset.image_limits.min_side == 40


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ("name = ", "cannot be read"),
        ('colour = "red"', "colour"),
        ("[quality]\nmin_beauty = 3", "min_beauty"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(tmp_path: Path, about: str, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        folder(recorded(tmp_path, about=about))


def test_missing_intrinsics_are_told(tmp_path: Path) -> None:
    anna = folder(recorded(tmp_path)).subjects[0]
    (tmp_path / "anna" / "probe" / "monday" / "intrinsics.json").write_text("{}")
    with pytest.raises(InvalidValue, match=r"monday/intrinsics\.json"):
        anna.frame(next(item for item in anna.items() if item.medium is Medium.DEPTH))


def test_one_person_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text("")
    (tmp_path / "anna" / "enroll").mkdir(parents=True)
    with pytest.raises(InvalidValue, match="at least two"):
        folder(tmp_path)


def test_a_png_tells_its_focal_length() -> None:
    content = png(np.full((60, 80, 3), 128, np.uint8), focal_35mm=81.9)
    image = decode_image(content, limits=ImageLimits(min_side=48))
    assert image.focal_35mm == 82.0
