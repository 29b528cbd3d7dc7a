"""Depth cameras: one protocol, one file per kind, one contract suite (``tests/contract/test_cameras.py``)."""

from __future__ import annotations

from recon_service.kiosk.cameras.camera import CameraFrame, CameraSession, DepthCamera, PictureKind
from recon_service.kiosk.cameras.choice import open_camera

__all__ = ["CameraFrame", "CameraSession", "DepthCamera", "PictureKind", "open_camera"]
