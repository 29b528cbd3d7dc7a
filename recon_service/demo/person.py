"""Somebody who takes part in the demonstration."""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.domain.depth_frame import DepthFrame


@dataclass(frozen=True, slots=True)
class Person:
    """selfies: JPEG bytes. visits: two visits to the kiosk, depth frames each."""

    name: str
    selfies: tuple[bytes, ...]
    visits: tuple[tuple[DepthFrame, ...], tuple[DepthFrame, ...]]
