"""FaceVerse 4: shape, expression and pose of a face in a picture, by one ResNet-50."""

from recon_service.reconstruction.faceverse.reconstructor import FaceVerseReconstructor, load_faceverse

__all__ = ["FaceVerseReconstructor", "load_faceverse"]
