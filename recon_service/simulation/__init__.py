"""Simulated heads, depth sensors and selfies with known truth. Simulated figures say how the code works, not
how people fare.
"""

from __future__ import annotations

from recon_service.simulation.capture import KIOSK_CAMERA, simulate_capture
from recon_service.simulation.heads import SampledHead, sample_head
from recon_service.simulation.sensors import DepthSensor, Ideal, Stereo, StructuredLight, TimeOfFlight
from recon_service.simulation.texture import PortraitTexture, render_selfie

__all__ = [
    "KIOSK_CAMERA",
    "DepthSensor",
    "Ideal",
    "PortraitTexture",
    "SampledHead",
    "Stereo",
    "StructuredLight",
    "TimeOfFlight",
    "render_selfie",
    "sample_head",
    "simulate_capture",
]
