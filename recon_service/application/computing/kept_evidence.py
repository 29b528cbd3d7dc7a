"""What an enrollment saw, without its pictures: kept by consent, so that a later model can be fitted to it.

As bytes, version 1: an ``.npz`` without Python objects. ``header`` holds JSON as UTF-8 bytes; the arrays,
by number of the capture or the match, are ``landmarks_0``, ``depth_0``, ``pose_0`` and so on. Nothing in it
is ever executed. Pixels and weights are single precision: a ten-thousandth of a pixel.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from recon_service.domain.arrays import AnyArray
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import StorageFault
from recon_service.domain.evidence import Capture, LandmarkEvidence, SurfaceMatches, SurfacePoints
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.pose import HeadPose, nearest_rotation
from recon_service.domain.posterior import IdentityPosterior

VERSION: Final = 1
MAX_BYTES: Final = 32_000_000
MAX_CAPTURES: Final = 64


@dataclass(frozen=True, slots=True)
class KeptCaptures:
    """The evidence of one enrollment and the fit of it, which a refit starts from.

    model, space: that ``fit`` and the triangles of matches and surfaces belong to. captures: of the selfies
    that took part. fit: of all. matches: of the last round; empty where skin was not matched. surfaces: of
    a reconstruction backend. resolved: 0 to 1, how well the smallest face was resolved. source, backend: as
    the template has them.
    """

    model: str
    space: str
    captures: tuple[Capture, ...]
    fit: Fit
    matches: tuple[SurfaceMatches, ...]
    surfaces: tuple[SurfacePoints, ...]
    resolved: float
    source: str
    backend: str


def to_bytes(kept: KeptCaptures) -> bytes:
    """See the top of this file."""
    arrays: dict[str, AnyArray] = {"mean": kept.fit.posterior.mean}
    header: dict[str, Any] = {
        "version": VERSION,
        **{name: getattr(kept, name) for name in _PLAIN},
        "captures": [],
        "matches": [],
        "surfaces": [],
    }
    for n, (capture, fitted) in enumerate(zip(kept.captures, kept.fit.captures, strict=True)):
        landmarks = next(e for e in capture.evidence if isinstance(e, LandmarkEvidence)).landmarks
        header["captures"].append(
            {
                "source": capture.source,
                "camera": asdict(capture.camera),
                "log_focal_sd": capture.log_focal_sd,
                "scheme": landmarks.scheme,
                "presence": landmarks.presence,
                "focal": [fitted.camera.fx, fitted.camera.fy],
            }
        )
        arrays[f"landmarks_{n}"] = landmarks.points.astype(np.float32)
        arrays[f"rotation_{n}"], arrays[f"translation_{n}"] = fitted.pose.rotation, fitted.pose.translation
        arrays[f"expression_{n}"] = fitted.expression
    for n, match in enumerate(kept.matches):
        header["matches"].append([match.first, match.second, match.sd, match.effective_matches])
        arrays[f"triangles_{n}"] = match.triangles.astype(np.int32)
        arrays[f"barycentric_{n}"] = match.barycentric.astype(np.float32)
        arrays[f"first_{n}"] = match.first_pixels.astype(np.float32)
        arrays[f"second_{n}"] = match.second_pixels.astype(np.float32)
    for n, surface in enumerate(kept.surfaces):
        header["surfaces"].append([surface.source, surface.effective_points, surface.inflation])
        arrays[f"points_{n}"] = surface.points.astype(np.float32)
        arrays[f"on_{n}"] = surface.triangles.astype(np.int32)
        arrays[f"weights_{n}"] = surface.barycentric.astype(np.float32)
        arrays[f"sd_{n}"] = surface.sd.astype(np.float32)
    arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


_PLAIN: Final = ("model", "space", "resolved", "source", "backend")


def from_bytes(content: bytes) -> KeptCaptures:
    """The inverse of ``to_bytes``. Raises StorageFault for anything else."""
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("too large to be evidence of ours")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return _read({name: file[name] for name in file.files})
    except Exception as fault:  # a reader of archives meets damage with whatever its parts raise
        raise StorageFault(
            "kept evidence cannot be read", next_step="Ask the subject for new selfies."
        ) from fault


def _read(arrays: dict[str, AnyArray]) -> KeptCaptures:
    header: dict[str, Any] = json.loads(arrays["header"].tobytes())
    if header["version"] != VERSION or not 1 <= len(header["captures"]) <= MAX_CAPTURES:
        raise ValueError("not evidence of a known version")
    captures, fits = [], []
    for n, entry in enumerate(header["captures"]):
        camera = PinholeCamera(**{**entry["camera"], "distortion": tuple(entry["camera"]["distortion"])})
        landmarks = FaceLandmarks(entry["scheme"], _exact(arrays[f"landmarks_{n}"]), entry["presence"])
        captures.append(
            Capture(
                entry["source"],
                camera,
                (LandmarkEvidence(landmarks),),
                log_focal_sd=entry["log_focal_sd"],
            )
        )
        pose = HeadPose(nearest_rotation(_exact(arrays[f"rotation_{n}"])), _exact(arrays[f"translation_{n}"]))
        fitted = camera.scaled_focal(float(entry["focal"][0]) / camera.fx)
        fits.append(CaptureFit(pose, _exact(arrays[f"expression_{n}"]), fitted, 1.0, 0))
    mean = _exact(arrays["mean"])
    return KeptCaptures(
        captures=tuple(captures),
        fit=Fit(IdentityPosterior(header["space"], mean, np.eye(len(mean))), tuple(fits)),
        matches=_matches(header["matches"], arrays),
        surfaces=_surfaces(header["surfaces"], arrays),
        **{name: header[name] for name in _PLAIN},
    )


def _matches(entries: Sequence[Any], arrays: dict[str, AnyArray]) -> tuple[SurfaceMatches, ...]:
    return tuple(
        SurfaceMatches(
            first=int(first),
            second=int(second),
            triangles=arrays[f"triangles_{n}"].astype(np.int64),
            barycentric=_exact(arrays[f"barycentric_{n}"]),
            first_pixels=_exact(arrays[f"first_{n}"]),
            second_pixels=_exact(arrays[f"second_{n}"]),
            sd=float(sd),
            effective_matches=float(effective),
        )
        for n, (first, second, sd, effective) in enumerate(entries)
    )


def _surfaces(entries: Sequence[Any], arrays: dict[str, AnyArray]) -> tuple[SurfacePoints, ...]:
    return tuple(
        SurfacePoints(
            source=str(source),
            points=_exact(arrays[f"points_{n}"]),
            triangles=arrays[f"on_{n}"].astype(np.int64),
            barycentric=_exact(arrays[f"weights_{n}"]),
            sd=_exact(arrays[f"sd_{n}"]),
            effective_points=float(effective),
            inflation=float(inflation),
        )
        for n, (source, effective, inflation) in enumerate(entries)
    )


def _exact(array: AnyArray) -> AnyArray:
    return np.asarray(array, dtype=np.float64)
