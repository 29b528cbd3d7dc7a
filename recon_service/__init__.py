"""3D face identity: enrolled from selfies, verified against depth captures."""

from __future__ import annotations

__version__ = "0.1.0"
