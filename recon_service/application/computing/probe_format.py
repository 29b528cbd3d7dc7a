"""A recent probe as bytes, version 1. Little endian; no pickle, nothing in it is ever executed.

length of header  uint32
header            UTF-8 JSON: everything but the numbers; "modes" is K, "dimension" is D
mean              K float64
appearance        D float64, none where there is none
covariance        K (K + 1) / 2 float32, the lower triangle by rows
"""

from __future__ import annotations

import json
import struct
from datetime import datetime
from typing import Any, Final

import numpy as np

from recon_service.application.records.probes import ProbeSeen, RecentProbe
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import CallerError, StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Decision

VERSION: Final = 1
MAX_NUMBERS: Final = 10_000
_LENGTH: Final = struct.Struct("<I")


def probe_bytes(probe: RecentProbe) -> bytes:
    """See the top of this file."""
    seen, posterior = probe.seen, probe.seen.posterior
    looks = seen.appearance
    header: dict[str, Any] = {
        "version": VERSION,
        "probe_id": probe.probe_id,
        "seen_at": probe.seen_at.isoformat(),
        "camera": seen.camera,
        "captures": seen.captures,
        "space": posterior.space,
        "modes": len(posterior.mean),
        "dimension": 0 if looks is None else len(looks.mean),
        "appearance": None
        if looks is None
        else [looks.embedder, looks.version, looks.light.value, looks.count],
        "calibration": probe.calibration,
        "policy": probe.policy,
        "decision": probe.decision.value,
        "llr": probe.llr,
    }
    said = json.dumps(header, sort_keys=True).encode()
    triangle = posterior.covariance[np.tril_indices(len(posterior.mean))]
    exact = [posterior.mean, *([looks.mean] if looks is not None else [])]
    numbers = np.concatenate(exact).astype("<f8").tobytes() + triangle.astype("<f4").tobytes()
    return _LENGTH.pack(len(said)) + said + numbers


def read_probe(content: bytes) -> RecentProbe:
    """The inverse of ``probe_bytes``. Raises StorageFault for anything else."""
    try:
        return _read(content)
    except (ValueError, KeyError, TypeError, struct.error, CallerError) as fault:
        raise StorageFault("a stored probe cannot be read", next_step="It ends by itself.") from fault


def _read(content: bytes) -> RecentProbe:
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    header: dict[str, Any] = json.loads(content[_LENGTH.size : start])
    modes, dimension = int(header["modes"]), int(header["dimension"])
    if header["version"] != VERSION or not 1 <= modes <= MAX_NUMBERS or not 0 <= dimension <= MAX_NUMBERS:
        raise ValueError("not a probe of a known version")
    split = start + 8 * (modes + dimension)
    if len(content) != split + 2 * modes * (modes + 1):
        raise ValueError("the length does not fit the number of modes")
    exact = np.frombuffer(content[start:split], dtype="<f8").astype(np.float64)
    covariance = np.zeros((modes, modes))
    covariance[np.tril_indices(modes)] = np.frombuffer(content[split:], dtype="<f4")
    covariance += np.tril(covariance, -1).T
    looks = header["appearance"]
    appearance = None
    if looks is not None:
        embedder, version, light, count = looks
        appearance = Appearance(str(embedder), str(version), Light(light), exact[modes:].copy(), int(count))
    return RecentProbe(
        probe_id=str(header["probe_id"]),
        seen_at=datetime.fromisoformat(header["seen_at"]),
        seen=ProbeSeen(
            IdentityPosterior(str(header["space"]), exact[:modes].copy(), covariance),
            str(header["camera"]),
            int(header["captures"]),
            appearance,
        ),
        calibration=str(header["calibration"]),
        policy=str(header["policy"]),
        decision=Decision(header["decision"]),
        llr=float(header["llr"]),
    )
