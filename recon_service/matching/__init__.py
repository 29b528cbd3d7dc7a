"""Pictures of one person -> surface matches between them."""

from recon_service.matching.matcher import MatchOptions, SurfaceMatcher
from recon_service.matching.pairs import pairs_to_match

__all__ = ["MatchOptions", "SurfaceMatcher", "pairs_to_match"]
