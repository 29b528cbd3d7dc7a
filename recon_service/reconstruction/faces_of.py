"""What every backend with a crop and an encoder does with the faces that were cut out of a batch: run the
encoder over all of them, and let an item that fails, fail alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import ReconError, ReconstructionFailed
from recon_service.domain.faces import DetectedFace
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.reconstruction.backend import Outcome
from recon_service.reconstruction.elsewhere import NetworksAway
from recon_service.reconstruction.encoders import Encoder
from recon_service.reconstruction.session import Floats

C = TypeVar("C")

JITTER: Final = (
    (0.0, 0.0, 1.0),
    *((0.04, 0.0, 1.0), (-0.04, 0.0, 1.0), (0.0, 0.04, 1.0), (0.0, -0.04, 1.0)),
    *((0.0, 0.0, 0.95), (0.0, 0.0, 1.05)),
    *((0.03, 0.03, 0.97), (-0.03, -0.03, 1.03), (0.03, -0.03, 1.03), (-0.03, 0.03, 0.97)),
)
"""Displacements of a crop, shares of its side to the right and down, and its size; the first is none."""


def jitter_of(crops: int) -> tuple[tuple[float, float, float], ...]:
    """The first so many displacements. Raises ReconstructionFailed for more than there are."""
    if not 1 <= crops <= len(JITTER):
        raise ReconstructionFailed(f"crops lie between 1 and {len(JITTER)}", next_step="Ask for fewer.")
    return JITTER[:crops]


@dataclass(frozen=True, slots=True)
class Cut(Generic[C]):
    """A face, where it was cut out, and the network's inputs (J, 3, S, S): the crop, then displaced ones."""

    face: DetectedFace
    crop: C
    pixels: Floats


Cuts = list[Cut[C]] | ReconError
"""Of all faces of an item, or why there are none."""


@dataclass(frozen=True, slots=True)
class EncodedCrops(Generic[C]):
    """name: of the backend. assemble: makes the face of the encoder's outputs (J, P) for the cut. batch:
    inputs per run of the encoder at most.
    """

    name: str
    encoder: Encoder
    assemble: Callable[[Cut[C], NDArray[np.float32]], ReconstructedFace]
    batch: int

    def outcomes(self, cuts: Sequence[Cuts[C]]) -> tuple[Outcome, ...]:
        """One per item, in order."""
        flat = [each for found in cuts if not isinstance(found, ReconError) for each in found]
        outputs = iter(self._encoded(flat))
        return tuple(
            found if isinstance(found, ReconError) else self._faces([(cut, next(outputs)) for cut in found])
            for found in cuts
        )

    def _encoded(self, cuts: Sequence[Cut[C]]) -> list[NDArray[np.float32] | ReconError]:
        """Per cut the outputs (J, P), or why there are none."""
        if not cuts:
            return []
        step = max(1, self.batch // len(cuts[0].pixels))
        found: list[NDArray[np.float32] | ReconError] = []
        for at in range(0, len(cuts), step):
            chunk = cuts[at : at + step]
            try:
                out = self.encoder(np.concatenate([cut.pixels for cut in chunk]))
                found.extend(out.reshape(len(chunk), -1, out.shape[1]))
            except NetworksAway:  # that is no fault of the pictures
                raise
            except Exception as fault:
                if len(chunk) == 1:
                    found.append(failure(self.name, fault))
                else:  # too many at once, or one of them spoils it for all: by halves
                    half = len(chunk) // 2
                    found.extend([*self._encoded(chunk[:half]), *self._encoded(chunk[half:])])
        return found

    def _faces(self, encoded: Sequence[tuple[Cut[C], NDArray[np.float32] | ReconError]]) -> Outcome:
        made = []
        for cut, outputs in encoded:
            if isinstance(outputs, ReconError):
                return outputs
            try:
                made.append(self.assemble(cut, outputs))
            except Exception as fault:
                return failure(self.name, fault)
        return tuple(made)


def failure(name: str, fault: Exception) -> ReconError:
    """What a backend says of its fault with one picture; nothing of the picture is in it."""
    if isinstance(fault, ReconError):
        return fault
    return ReconstructionFailed(
        f"{name} failed on a picture ({type(fault).__name__}).", next_step="Take the picture again."
    )
