"""What every face detector does, and how one makes itself known.

A detector is one file (or folder) of this package. It has a module-level ``DETECTOR``, by which the registry
finds it; nothing else has to be touched but the manifest, where it needs a model file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device

Faces = tuple[DetectedFace, ...]


class FaceDetector(Protocol):
    """Finds faces. Implementations may be called from several threads at once."""

    @property
    def name(self) -> str:
        """Stable identifier of the detector, kept with what was made from its faces."""
        ...

    @property
    def device(self) -> Device:
        """Where it really runs, CPU or CUDA: a detector that was asked for CUDA and cannot have it runs on
        the CPU.
        """
        ...

    def detect(self, image: Image) -> Faces:
        """All faces in ``image``, highest score first; none is an empty tuple, not an error."""
        ...

    def detect_batch(self, images: Sequence[Image]) -> tuple[Faces, ...]:
        """What ``detect`` says of each image, in one go where the network can."""
        ...


Locate = Callable[[str], Path]
"""The verified file of a manifest's name; raises WeightsUnavailable, naming the command that mends it."""


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """A detector that can be made.

    name: stable; the same as the detector's. title: for people. scheme: of its landmarks. weights: names in
    the manifest. packages: what must be importable beyond the service's own dependencies, each with the
    extra that brings it. base: the detector (by name) that finds the box, for one that only refines. build:
    makes it from the files of ``weights``, in their order, and ``base``'s detector, if any.
    """

    name: str
    title: str
    scheme: str
    build: Callable[[Sequence[Path], Device, FaceDetector | None], FaceDetector]
    weights: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    base: str | None = None


ONNX_RUNTIME = ("onnxruntime", "cpu")
"""The package that runs ONNX files, and the extra that brings it (``gpu`` brings it with CUDA)."""


class OneByOne:
    """``detect_batch`` for a detector that looks at one image at a time."""

    def detect(self, image: Image) -> Faces:
        raise NotImplementedError

    def detect_batch(self, images: Sequence[Image]) -> tuple[Faces, ...]:
        """What ``detect`` says of each image."""
        return tuple(self.detect(image) for image in images)
