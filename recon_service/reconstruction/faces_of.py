"""What every backend with a crop and an encoder does with a batch: find faces, cut them out, run the encoder
once over all of them, and let an item that fails, fail alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import ReconError
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.reconstruction.encoders import Encoder, Floats

C = TypeVar("C")
Outcome = tuple[ReconstructedFace, ...] | ReconError


class FindsFaces(Protocol):
    """A face detector."""

    def detect(self, image: Image) -> tuple[DetectedFace, ...]: ...


class FindsLandmarks(Protocol):
    """A detector of FaceMesh's 468 landmarks."""

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks: ...


@dataclass(frozen=True, slots=True)
class Cut(Generic[C]):
    """A face, where it was cut out, and the network's input (3, S, S)."""

    face: DetectedFace
    crop: C
    pixels: Floats


def reconstruct_batch(
    items: Sequence[tuple[Image, DetectedFace | None]],
    *,
    detector: FindsFaces,
    cut: Callable[[Image, DetectedFace], Cut[C]],
    encoder: Encoder,
    assemble: Callable[[Cut[C], NDArray[np.float32]], ReconstructedFace],
    batch: int,
) -> tuple[Outcome, ...]:
    """One outcome per item. batch: faces per run of the encoder."""
    cuts: list[list[Cut[C]] | ReconError] = []
    for image, face in items:
        try:
            faces = detector.detect(image) if face is None else (face,)
            cuts.append([cut(image, each) for each in faces])
        except ReconError as fault:
            cuts.append(fault)
    flat = [each for found in cuts if not isinstance(found, ReconError) for each in found]
    raws: list[NDArray[np.float32]] = []
    for at in range(0, len(flat), batch):
        raws.extend(encoder(np.stack([each.pixels for each in flat[at : at + batch]])))
    outputs = iter(raws)
    outcomes: list[Outcome] = []
    for found in cuts:
        if isinstance(found, ReconError):
            outcomes.append(found)
            continue
        mine = [(each, next(outputs)) for each in found]
        try:
            outcomes.append(tuple(assemble(each, raw) for each, raw in mine))
        except ReconError as fault:
            outcomes.append(fault)
    return tuple(outcomes)
