"""Faces that fill the frame or stand far away, and real infrared pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.domain.images import Image
from recon_service.imaging import image_from_gray
from tests.images import detector, placed, portrait, resized


@pytest.mark.parametrize("face_px", [300, 120, 80, 65])
@pytest.mark.parametrize(("left", "top"), [(0, 0), (410, 620), (800, 1150)])
def test_small_faces_are_found_wherever_they_are(face_px: int, left: int, top: int) -> None:
    head = resized(portrait("astronaut")[:300, 80:380], face_px / 95)
    left, top = min(left, 1125 - head.shape[1]), min(top, 1500 - head.shape[0])
    (face,) = detector().detect(Image(pixels=placed(head, width=1125, height=1500, left=left, top=top)))
    assert face.width == pytest.approx(face_px, rel=0.25)
    assert (face.box[0] + face.box[2]) / 2 == pytest.approx(left + 145 * face_px / 95, abs=0.25 * face_px)


@pytest.mark.parametrize("margin", [0.1, 0.0, -0.1])
def test_a_face_that_fills_the_frame_is_found(margin: float) -> None:
    grow = int(95 * margin)
    (face,) = detector().detect(
        Image(
            pixels=np.ascontiguousarray(
                portrait("astronaut")[83 - grow : 178 + grow, 178 - grow : 273 + grow]
            )
        )
    )
    assert face.score > 0.5


def test_every_real_infrared_frame_has_its_one_face(cases: Path) -> None:
    for line in (cases / "kinect2_dev" / "labels.txt").read_text().splitlines()[::4]:
        name, *numbers = line.split()
        labeled = np.array(numbers[4:], dtype=float).reshape(15, 2)
        folder, frame = name.split("/")
        infrared = cv2.imread(str(cases / "kinect2_dev" / folder / f"{frame}_ir.png"), cv2.IMREAD_UNCHANGED)
        faces = detector().detect(image_from_gray(infrared))
        assert len(faces) == 1, name
        box, margin = np.array(faces[0].box), 0.15 * faces[0].width
        assert ((labeled > box[:2] - margin) & (labeled < box[2:] + margin)).all(), name
