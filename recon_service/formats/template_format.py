"""A template as bytes, version 3. Little endian; no pickle, nothing in it is ever executed.

"RTPL"            4 bytes
version           uint16, 3
length of header  uint32
header            UTF-8 JSON: every field of the template but its numbers; "modes" is K; "appearance" is
                  null or says the network, the light, the count of pictures and the length D of the vector;
                  "visits" has the provenance of each visit that strengthened it
mean              K float64
covariance        K (K + 1) / 2 float64, the lower triangle by rows
appearance        D float64, none where it is null
visits            mean and covariance of each, as above, K (K + 3) / 2 float64

Version 1 had no appearance, versions 1 and 2 no visits; both are still read.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime
from typing import Any

import numpy as np

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.arrays import Array
from recon_service.domain.errors import CallerError, StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template

MAGIC = b"RTPL"
VERSION = 3
READABLE = (1, 2, 3)
_PREFIX = struct.Struct("<4sHI")
MAX_MODES = 1000
MAX_DIMENSION = 8192
MAX_VISITS = 100


class BinaryTemplateFormat:
    """See ``ports.TemplateFormat``."""

    def write(self, template: Template) -> bytes:
        """The bytes, equal for equal templates."""
        posterior = template.posterior
        header = json.dumps(_header(template), sort_keys=True).encode()
        seen = template.appearance.mean if template.appearance is not None else np.zeros(0)
        visits = [_numbers(visit.posterior) for visit in template.visits]
        numbers = np.concatenate([_numbers(posterior), seen, *visits]).astype("<f8").tobytes()
        return _PREFIX.pack(MAGIC, VERSION, len(header)) + header + numbers

    def read(self, content: bytes) -> Template:
        """The template. Raises StorageFault for anything that ``write`` did not make."""
        try:
            return _read(content)
        except (ValueError, KeyError, TypeError, struct.error, CallerError) as fault:
            raise StorageFault(
                "a stored template cannot be read", next_step="Enroll the subject again."
            ) from fault


def _read(content: bytes) -> Template:
    magic, version, length = _PREFIX.unpack_from(content)
    if magic != MAGIC or version not in READABLE:
        raise ValueError("not a template of a known version")
    start = _PREFIX.size + length
    header: dict[str, Any] = json.loads(content[_PREFIX.size : start])
    modes = int(header["modes"])
    size = modes + modes * (modes + 1) // 2
    seen: dict[str, Any] | None = header["appearance"] if version > 1 else None
    dimension = int(seen["dimension"]) if seen is not None else 0
    visits: list[dict[str, Any]] = list(header["visits"]) if version > 2 else []
    if not 1 <= modes <= MAX_MODES or not 0 <= dimension <= MAX_DIMENSION or len(visits) > MAX_VISITS:
        raise ValueError("a template of impossible size")
    if len(content) != start + 8 * (size * (1 + len(visits)) + dimension):
        raise ValueError("the length does not fit the number of modes")
    numbers = np.frombuffer(content, dtype="<f8", offset=start).astype(np.float64)
    vector = numbers[size : size + dimension].copy()
    further = numbers[size + dimension :].reshape(len(visits), size)
    space = str(header["space"])
    return Template(
        template_id=str(header["template_id"]),
        subject_id=str(header["subject_id"]),
        posterior=_posterior(space, modes, numbers[:size]),
        source=str(header["source"]),
        model=str(header["model"]),
        calibration=str(header["calibration"]),
        provenance=tuple(_provenance(p) for p in header["provenance"]),
        quality=float(header["quality"]),
        created_at=datetime.fromisoformat(header["created_at"]),
        appearance=_appearance(seen, vector) if seen is not None else None,
        visits=tuple(
            _visit(entry, _posterior(space, modes, row)) for entry, row in zip(visits, further, strict=True)
        ),
    )


def _numbers(posterior: IdentityPosterior) -> Array:
    """Mean and lower triangle."""
    return np.concatenate([posterior.mean, posterior.covariance[np.tril_indices(len(posterior.mean))]])


def _posterior(space: str, modes: int, numbers: Array) -> IdentityPosterior:
    covariance = np.zeros((modes, modes))
    covariance[np.tril_indices(modes)] = numbers[modes:]
    with np.errstate(invalid="ignore"):  # a signaling NaN in damaged bytes: the posterior refuses it
        covariance = covariance + np.tril(covariance, -1).T
    return IdentityPosterior(space, numbers[:modes].copy(), covariance)


def _visit(entry: dict[str, Any], posterior: IdentityPosterior) -> DepthVisit:
    texts = {name: str(entry[name]) for name in ("visit_id", "source", "calibration", "policy", "kiosk")}
    return DepthVisit(
        posterior=posterior,
        captures=int(entry["captures"]),
        captured_at=datetime.fromisoformat(entry["captured_at"]),
        score=float(entry["score"]),
        confirmed=bool(entry["confirmed"]),
        gain=float(entry["gain"]),
        **texts,
    )


def _appearance(entry: dict[str, Any], vector: Array) -> Appearance:
    return Appearance(
        str(entry["embedder"]), str(entry["version"]), Light(entry["light"]), vector, int(entry["count"])
    )


def _header(template: Template) -> dict[str, Any]:
    seen = template.appearance
    return {
        "template_id": template.template_id,
        "subject_id": template.subject_id,
        "space": template.posterior.space,
        "modes": len(template.posterior.mean),
        "source": template.source,
        "model": template.model,
        "calibration": template.calibration,
        "quality": template.quality,
        "created_at": template.created_at.isoformat(),
        "provenance": [
            {"source": p.source, "backend": p.backend, "captured_at": p.captured_at.isoformat()}
            for p in template.provenance
        ],
        "appearance": {
            "embedder": seen.embedder,
            "version": seen.version,
            "light": seen.light.value,
            "count": seen.count,
            "dimension": len(seen.mean),
        }
        if seen is not None
        else None,
        "visits": [
            {
                "visit_id": visit.visit_id,
                "source": visit.source,
                "captures": visit.captures,
                "calibration": visit.calibration,
                "captured_at": visit.captured_at.isoformat(),
                "policy": visit.policy,
                "score": visit.score,
                "confirmed": visit.confirmed,
                "gain": visit.gain,
                "kiosk": visit.kiosk,
            }
            for visit in template.visits
        ],
    }


def _provenance(value: dict[str, str]) -> Provenance:
    return Provenance(
        str(value["source"]), str(value["backend"]), datetime.fromisoformat(value["captured_at"])
    )
