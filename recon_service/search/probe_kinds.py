"""Which kinds of probes an index tells apart. Callers name their depth camera as they like; vectors for every
name would be memory that anybody can fill.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind

UNKNOWN: Final = "?"
"""Origin in place of all that nothing is known of. No camera can be called so."""


def searched_as(kind: EvidenceKind, calibration: Calibration, *, seen: Container[str]) -> EvidenceKind:
    """The kind whose vectors serve this one too. seen: sources of which some reference holds visits.

    A calibration takes more captures than it was learned from for as many as that; and of origins that it
    does not know it takes all for the same, but for references that hold visits before just that camera.
    """
    kinds = [one for pair in calibration.pairs for one in pair]
    captures = min(kind.captures, max(one.captures for one in kinds))
    known = kind.source in seen or any(one.source == kind.source for one in kinds)
    return EvidenceKind(kind.family, kind.origin if known else UNKNOWN, captures)
