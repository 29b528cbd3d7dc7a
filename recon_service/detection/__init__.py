"""Faces in an image: one file per detector, each fulfilling ``FaceDetector``."""
