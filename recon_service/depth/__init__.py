"""Depth frame -> cleaned surface, start pose, evidence."""

from recon_service.depth.capture import depth_capture

__all__ = ["depth_capture"]
