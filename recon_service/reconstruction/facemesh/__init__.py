"""FaceMesh: 468 landmarks as evidence about the identity."""
