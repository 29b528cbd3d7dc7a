"""Draw what every detector that can be had here sees in the two portraits: ``docs/pictures/detectors.jpg``.

python docs/pictures/make_detectors.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from recon_service.detectors import load_detectors
from recon_service.domain.landmark_schemes import FIVE, MOUTH, scheme_named
from recon_service.imaging import decode_image
from recon_service.networks.onnx_runtime import Device
from recon_service.simulation.population.portraits import free_portraits

TILE = 200
COLORS = ((230, 60, 60), (60, 120, 240), (250, 220, 40), (230, 80, 230), (60, 220, 220), (255, 255, 255))


def main() -> None:
    """Write detectors.jpg beside this file."""
    registry = load_detectors()
    names = [each.kind.name for each in registry.availability() if each.available]
    detectors = [registry.build(name, Device.CPU) for name in names]
    rows = []
    for content in free_portraits().values():
        image = decode_image(content)
        (face, *_) = detectors[names.index("mediapipe")].detect(image)
        middle, reach = (face.box[0] + face.box[2]) / 2, 0.95 * face.width
        top = (face.box[1] + face.box[3]) / 2 - 1.1 * reach
        scale = TILE / (2 * reach)
        to_tile = np.array([[scale, 0, -scale * (middle - reach)], [0, scale, -scale * top]])
        tiles = []
        for detector in detectors:
            tile = cv2.warpAffine(image.pixels, to_tile, (TILE, TILE), flags=cv2.INTER_AREA)
            for found in detector.detect(image):
                corners = np.array(found.box).reshape(2, 2) @ to_tile[:, :2].T + to_tile[:, 2]
                (a, b), (c, d) = np.rint(corners).astype(int).tolist()
                cv2.rectangle(tile, (a, b), (c, d), (90, 230, 90), 1, cv2.LINE_AA)
                scheme = scheme_named(found.scheme)
                for color, place in zip(COLORS, (*FIVE, MOUTH), strict=True):
                    point = scheme.place(found.keypoints, place)
                    if point is not None and not (
                        place == MOUTH and scheme.five_points(found.keypoints) is not None
                    ):
                        x, y = np.rint(to_tile[:, :2] @ point + to_tile[:, 2]).astype(int).tolist()
                        cv2.circle(tile, (x, y), 3, color, -1, cv2.LINE_AA)
            cv2.putText(tile, detector.name, (5, 14), 0, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(tile, detector.name, (5, 14), 0, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    path = Path(__file__).with_name("detectors.jpg")
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(path)


if __name__ == "__main__":
    main()
