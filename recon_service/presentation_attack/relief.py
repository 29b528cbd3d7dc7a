"""Do picture and depth show the same face? The landmarks of the picture come with a depth that the landmark
detector guesses from the looks alone; the camera measured another. Apart from a smooth bend of second degree,
which a sheet may have, the two go together on a face and not on a print.
"""

from __future__ import annotations

import numpy as np

from recon_service.presentation_attack.sheets import UNIT_MM, monomials
from recon_service.presentation_attack.surface import FaceSurface

LEAST_LANDMARKS = 60
BEND = 2


def relief_gain(face: FaceSurface) -> float | None:
    """Slope of the measured over the guessed depth of the landmarks, both less their best second-degree
    polynomial over the face: near one half for a face (the guess exaggerates), zero for any smooth sheet,
    less than zero for a face from behind. None with too few landmarks on measured skin.
    """
    pixels, guessed = face.landmarks.points, face.landmarks.depth
    if guessed is None:
        return None
    height, width = face.clean.shape
    columns, rows = np.rint(pixels).astype(np.int64).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    columns, rows = np.where(inside, columns, 0), np.where(inside, rows, 0)
    measured = face.clean[rows, columns]
    usable = inside & face.outline[rows, columns] & (measured > 0)
    if usable.sum() < LEAST_LANDMARKS:
        return None
    z = measured[usable]
    points = face.camera.rays(pixels[usable]) * z[:, None]
    # The guess is in pixels: as mm at the distance measured.
    guess = guessed[usable] * z / face.camera.fx
    x, y = ((points[:, axis] - points[:, axis].mean()) / UNIT_MM for axis in (0, 1))
    smooth, _ = np.linalg.qr(monomials(x, y, BEND).T)
    z, guess = (values - smooth @ (smooth.T @ values) for values in (z, guess))
    size = float(guess @ guess)
    return float(guess @ z) / size if size > 0 else None
