"""The same skin in several pictures: dense matches between views, guided by the current fit."""

from recon_service.matching.matcher import MatchOptions, SurfaceMatcher

__all__ = ["MatchOptions", "SurfaceMatcher"]
