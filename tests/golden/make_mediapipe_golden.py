"""Makes the golden landmarks with the real MediaPipe. Run by hand, in an environment of its own (MediaPipe
wants numpy 1)::

    python3 -m venv /tmp/mediapipe
    /tmp/mediapipe/bin/pip install mediapipe==0.10.21 scikit-image matplotlib
    /tmp/mediapipe/bin/python tests/golden/make_mediapipe_golden.py

It writes ``mediapipe_facemesh_{astronaut,grace_hopper}.npz`` beside itself. Each holds ``landmarks`` (468, 3)
float32: x and y in pixels of the portrait, z scaled as x; ``box`` (4,) and ``keypoints`` (6, 2) of the
short-range detector in pixels; ``score``; ``version`` of MediaPipe; ``image_sha256`` of the portrait's
decoded pixels. FaceMesh runs in its static mode (detection, region, landmarks; no tracking, no refinement of
eyes and lips).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib.cbook
import mediapipe
import numpy as np
import skimage.data
from PIL import Image

HERE = Path(__file__).parent


def main() -> None:
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        portraits = {
            "astronaut": skimage.data.astronaut(),
            "grace_hopper": np.asarray(Image.open(file).convert("RGB")),
        }
    for name, pixels in portraits.items():
        height, width = pixels.shape[:2]
        size = np.array([width, height], np.float64)
        with mediapipe.solutions.face_detection.FaceDetection(
            model_selection=0, min_detection_confidence=0.5
        ) as detector:
            detection = detector.process(pixels).detections[0]
        box = detection.location_data.relative_bounding_box
        low = np.array([box.xmin, box.ymin]) * size
        high = low + np.array([box.width, box.height]) * size
        keypoints = np.array([[k.x, k.y] for k in detection.location_data.relative_keypoints]) * size
        with mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=False, min_detection_confidence=0.5
        ) as mesh:
            found = mesh.process(pixels).multi_face_landmarks[0].landmark
        landmarks = np.array([[p.x, p.y, p.z] for p in found]) * [width, height, width]
        path = HERE / f"mediapipe_facemesh_{name}.npz"
        np.savez_compressed(
            path,
            landmarks=landmarks.astype(np.float32),
            box=np.concatenate([low, high]).astype(np.float32),
            keypoints=keypoints.astype(np.float32),
            score=np.float32(detection.score[0]),
            version=np.array(mediapipe.__version__),
            image_sha256=np.array(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()),
        )
        print(f"{path.name}: face of {high[0] - low[0]:.0f} px, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
