"""Colors of real faces, laid flat: what a photograph shows of the skin with its lighting taken out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy.interpolate import RBFInterpolator

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.canonical_model import load_ict, load_landmark_model
from recon_service.comparison.calibration_file import load_calibration
from recon_service.detection.mediapipe_short_range import MediaPipeShortRange
from recon_service.domain.arrays import Array
from recon_service.domain.errors import FitFailed, WeightsUnavailable
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import Fit
from recon_service.domain.mesh import Mesh
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker
from recon_service.simulation.population.unwrapped import (
    Unwrapping,
    blurred_where,
    column_angles,
    row_heights,
)
from recon_service.weights import bundled_directory, locate

LIGHTING_PX: Final = 42.0
"""Differences over more than this (about 13 mm) on the unwrapped skin count as lighting and are taken out."""
SEEN_COSINE: Final = (0.30, 0.60)
"""A portrait tells nothing about skin turned away further than the first, and all beyond the second."""
LANDMARK_STRIDE: Final = 2
DEEPEST: Final = 0.6
"""Limit of the logarithm of a detail's contrast."""
SPAN_MM: Final = {"astronaut": (-92.0, 56.0), "grace-hopper": (-92.0, -6.0)}
"""Heights of the mean head between which a portrait shows skin: hair, collars and glasses lie beyond."""
MAX_ANGLE: Final = 1.2
"""Radians around the head to either side: the ears lie beyond."""
ANY_SPAN_MM: Final = (-92.0, 75.0)
SPAN_FADE_MM: Final = 25.0


def free_portraits() -> dict[str, bytes]:
    """JPEG bytes of two portraits that ship inside packages and are in the public domain: Eileen Collins
    (scikit-image's ``astronaut``) and Grace Hopper (matplotlib's sample).
    """
    try:
        import matplotlib.cbook
        import skimage.data
    except ImportError as missing:
        raise WeightsUnavailable(
            f"the package {missing.name}, which carries a portrait, is not installed",
            next_step="Install the extra: pip install -e '.[demo]'",
        ) from missing
    buffer = io.BytesIO()
    PillowImage.fromarray(skimage.data.astronaut()).save(buffer, "JPEG", quality=95)
    hopper = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return {"astronaut": buffer.getvalue(), "grace-hopper": hopper.read_bytes()}


def dense_pipeline() -> FacePipeline:
    """What locates the portraits. Raises WeightsUnavailable, naming the command that mends it."""
    model = load_ict(locate("ict-face-model"))
    return FacePipeline(
        detector=MediaPipeShortRange(locate("face-detection-short-range")),
        landmarker=FaceMeshLandmarker(locate("face-landmark")),
        model=model,
        landmark_model=load_landmark_model(bundled_directory() / "builtin.npz", model),
        calibration=load_calibration(),
    )


def unwrapped_portraits(
    portraits: Mapping[str, bytes], unwrapping: Unwrapping, pipeline: FacePipeline
) -> list[NDArray[np.float32]]:
    """One (SIDE, SIDE, 3) float32 for each portrait: the logarithm of each linear RGB value over its
    surroundings, zero where the portrait tells nothing. Hidden skin is filled from the other side of the
    face.

    Raises FitFailed when a portrait is not accepted.
    """
    return [
        _unwrapped(portrait, SPAN_MM.get(name, ANY_SPAN_MM), unwrapping, pipeline)
        for name, portrait in portraits.items()
    ]


def _unwrapped(
    portrait: bytes, span: tuple[float, float], unwrapping: Unwrapping, pipeline: FacePipeline
) -> NDArray[np.float32]:
    result = enroll([portrait], pipeline)
    image, landmarks = result.selfies[0].image, result.selfies[0].landmarks
    if result.fit is None or image is None or landmarks is None:
        raise FitFailed("a portrait of the population was not accepted")
    pixels, cosine = _located(result.fit, landmarks, pipeline)
    where = unwrapping.spread(pixels)
    linear = (image.pixels.astype(np.float32) / 255) ** 2.2
    color = cv2.remap(linear, where[..., 0], where[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    low, high = SEEN_COSINE
    seen = np.clip((unwrapping.spread(cosine) - low) / (high - low), 0, 1).astype(np.float32)
    seen *= unwrapping.mask & (np.abs(column_angles()) < MAX_ANGLE)
    heights = row_heights()[:, None]
    seen *= np.clip(np.minimum(heights - span[0], span[1] - heights) / SPAN_FADE_MM, 0, 1).astype(np.float32)
    inside = cv2.GaussianBlur(cv2.erode(seen, np.ones((9, 9), np.uint8)), (0, 0), 6.0)
    weight = np.asarray(inside, dtype=np.float32)
    return filled(delighted(np.asarray(color, dtype=np.float32), weight), weight)


def delighted(color: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm of linear RGB (H, W, 3) minus that of the skin around it. Brows and lips are left out of the
    surroundings by weights that fall with their difference.
    """
    log = np.log(np.clip(color, 0.004, 1.0)).astype(np.float32)
    weight = seen.copy()
    for _ in range(3):
        around = blurred_where(log, weight + 1e-6, LIGHTING_PX)
        dark = (log - around).mean(axis=2)
        weight = (seen * np.exp(-((dark / 0.3) ** 2))).astype(np.float32)
    detail = np.clip(log - around, -1.8, 0.6)
    # Folds and shadows are the portrait's shape, which is not the head's: the deepest are softened.
    return np.asarray(DEEPEST * np.tanh(detail / DEEPEST), dtype=np.float32)


def filled(detail: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """``detail`` where ``seen`` (0 to 1), the mirrored detail where only the other side is, else zero."""
    other = seen[:, ::-1] * (1 - seen)
    total = np.maximum(seen + other, 1.0)
    return ((detail * seen[..., None] + detail[:, ::-1] * other[..., None]) / total[..., None]).astype(
        np.float32
    )


def _located(fit: Fit, landmarks: FaceLandmarks, pipeline: FacePipeline) -> tuple[Array, Array]:
    """Pixels (V, 2) of the model's vertices, moved by a smooth field so that the landmarks meet, and the
    cosine (V,) of normal and view.
    """
    model, seen_model = pipeline.model, pipeline.landmark_model
    capture = fit.captures[0]
    posed = capture.pose.apply(fit.mesh(model, capture=0).vertices)
    pixels = capture.camera.project(posed)
    apparent = seen_model.points.positions(fit.posterior.mean, capture.expression)
    predicted = capture.camera.project(capture.pose.apply(apparent))
    use = np.flatnonzero(seen_model.usable)[::LANDMARK_STRIDE]
    field = RBFInterpolator(
        predicted[use],
        landmarks.points[use] - predicted[use],
        neighbors=40,
        smoothing=2.0,
        kernel="thin_plate_spline",
    )
    inside = np.linalg.norm(pixels - predicted[use].mean(axis=0), axis=1)
    reach = np.quantile(np.linalg.norm(predicted[use] - predicted[use].mean(axis=0), axis=1), 0.95)
    fade = np.clip((1.5 * reach - inside) / (0.5 * reach), 0, 1)[:, None]
    normals = Mesh(posed, model.triangles).vertex_normals()
    cosine = -np.einsum("vc,vc->v", normals, posed / np.linalg.norm(posed, axis=1, keepdims=True))
    return pixels + fade * field(pixels), cosine
