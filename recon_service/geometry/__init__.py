"""Geometry that several stages and adapters need and that takes more than numpy: ray casting by Embree."""

from recon_service.geometry.raycast import cast, raycast

__all__ = ["cast", "raycast"]
