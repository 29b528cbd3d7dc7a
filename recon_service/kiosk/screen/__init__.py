"""What the person sees: a full-screen page, served on the loopback interface by the standard library."""

from __future__ import annotations

from recon_service.kiosk.screen.server import Screen
from recon_service.kiosk.screen.state import ScreenState

__all__ = ["Screen", "ScreenState"]
