from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.kinect2 import CAMERA_NAME, FOCAL_PX, kinect2_subjects


def recorded(root: Path) -> Path:
    folder = root / "s03"
    folder.mkdir()
    infrared = (np.arange(80).reshape(8, 10) * 100).astype(np.uint16)
    cv2.imwrite(str(folder / "07_depth.png"), np.full((8, 10), 850, np.uint16))
    cv2.imwrite(str(folder / "07_ir.png"), infrared)
    (root / "notes").mkdir()
    return root


def test_frames_are_read_with_nominal_intrinsics(tmp_path: Path) -> None:
    (subject,) = kinect2_subjects(recorded(tmp_path))
    assert (subject.name, subject.frames()) == ("s03", [7])
    frame = subject.depth(7)
    np.testing.assert_array_equal(frame.depth, 850.0)
    assert (frame.camera.fx, frame.camera.cx, frame.camera.cy) == (FOCAL_PX, 4.5, 3.5)
    assert frame.camera_name == CAMERA_NAME
    assert frame.image is not None
    assert frame.image.pixels.shape == (8, 10, 3)
    assert subject.depth(7, with_image=False).image is None


def test_a_folder_without_subjects_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="sNN"):
        list(kinect2_subjects(tmp_path))


def test_a_missing_frame_is_told(tmp_path: Path) -> None:
    (subject,) = kinect2_subjects(recorded(tmp_path))
    with pytest.raises(InvalidValue, match="08_depth"):
        subject.depth(8)
