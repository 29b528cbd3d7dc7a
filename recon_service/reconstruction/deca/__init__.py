"""DECA: FLAME's shape, expression and pose of a face in a picture, by one ResNet-50."""

from recon_service.reconstruction.deca.reconstructor import DecaReconstructor, load_deca

__all__ = ["DecaReconstructor", "load_deca"]
