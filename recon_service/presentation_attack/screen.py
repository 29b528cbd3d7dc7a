"""Screens: glass returns nothing, or its own plane."""

from __future__ import annotations

from recon_service.presentation_attack.surface import FaceSurface


def returns_share(face: FaceSurface) -> float:
    """Share of the pixels inside the face's outline that have a depth at all."""
    return float((face.raw[face.outline] > 0).mean())
