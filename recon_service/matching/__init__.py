"""Pictures of one person -> surface matches between them."""

from recon_service.matching.matcher import MatchOptions, SurfaceMatcher
from recon_service.matching.pairs import pairs_to_match
from recon_service.matching.protocol import PictureSet, SkinMatching, SkinMatchingOfMany

__all__ = [
    "MatchOptions",
    "PictureSet",
    "SkinMatching",
    "SkinMatchingOfMany",
    "SurfaceMatcher",
    "pairs_to_match",
]
