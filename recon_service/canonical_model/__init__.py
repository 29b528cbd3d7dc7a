"""Reading the canonical morphable model and what a landmark detector sees of it, dense or built-in, into
one type.
"""

from recon_service.canonical_model.builtin import load_builtin, load_landmark_model
from recon_service.canonical_model.ict import load_ict, load_ict_landmarks

__all__ = ["load_builtin", "load_ict", "load_ict_landmarks", "load_landmark_model"]
