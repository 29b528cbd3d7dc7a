"""The quality gate: one file per measure, each raw value -> 0 to 100 -> verdict -> what the person can do.

After ISO/IEC 29794-5. The gate asks whether landmarks and shape can be had from a picture, not whether a
passport could be printed of it.
"""

from __future__ import annotations

from recon_service.quality.assess import assess
from recon_service.quality.limits import QualityLimits
from recon_service.quality.selection import best_frames

__all__ = ["QualityLimits", "assess", "best_frames"]
