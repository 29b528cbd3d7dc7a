"""3DDFA-V2 as a backend: detect, cut out, regress, and the Basel mesh of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ReconError, ReconstructionFailed
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import FRONTAL, nearest_rotation
from recon_service.domain.reconstruction import Box, ReconstructedFace, named_arrays
from recon_service.reconstruction.backend import BackendOptions, Item, ModelFiles, Outcome
from recon_service.reconstruction.elsewhere import NetworksAway
from recon_service.reconstruction.surface_evidence import SurfaceNoise, evidence_of, load_surface_noise
from recon_service.reconstruction.tddfa_v2 import NAME, model_files
from recon_service.reconstruction.tddfa_v2.networks import Networks, OnnxNetworks
from recon_service.registration import Correspondence
from recon_service.registration.correspondence import load_correspondence
from third_party.tddfa_v2 import boxes, region
from third_party.tddfa_v2.basel import in_picture
from third_party.tddfa_v2.parameters import Parameters, scale_and_rotation, yaw_pitch_roll

MICROMETERS = 1e-3
SAME_FACE = 0.3
"""Intersection over union from which a box of this detector is the face that another detector found."""
JITTER = np.array(
    [
        *[(0, 0, 1), (0.04, 0, 1), (-0.04, 0, 1), (0, 0.04, 1), (0, -0.04, 1), (0, 0, 0.95), (0, 0, 1.05)],
        *[(0.03, 0.03, 0.97), (-0.03, -0.03, 1.03), (0.03, -0.03, 1.03), (-0.03, 0.03, 0.97)],
    ]
)
"""Displacements of a crop: shares of its side to the right and down, and its size; the first is none."""
REGISTER = "recon weights register tddfa_v2"

Pixels = NDArray[np.uint8]
Found = tuple[DetectedFace, Array]
"""A face and its region of interest."""


class TddfaV2:
    """The backend. Thread-safe: everything it holds is read only."""

    def __init__(
        self,
        networks: Networks,
        bases: model_files.Bases,
        whitening: tuple[NDArray[np.float32], NDArray[np.float32]],
        *,
        options: BackendOptions | None = None,
        correspondence: Callable[[], Correspondence] | None = None,
    ) -> None:
        """correspondence: gives the pairs of the Basel and the canonical mesh when evidence is asked for."""
        self._networks, self._bases, self._whitening = networks, bases, whitening
        self._options = options or BackendOptions()
        if not 1 <= self._options.crops <= len(JITTER):
            raise ValueError(f"crops lie between 1 and {len(JITTER)}")
        self._load_correspondence = correspondence

    @classmethod
    def load(
        cls, files: ModelFiles, options: BackendOptions, *, regressor: str = model_files.REGRESSOR
    ) -> TddfaV2:
        """regressor: or ``model_files.WIDE_REGRESSOR``, of the user's own. Raises WeightsUnavailable or
        BackendUnavailable, each with the next step.
        """
        model_files.check(files)
        if options.networks is not None and regressor == model_files.REGRESSOR:
            networks = OnnxNetworks.elsewhere(options.networks)
        else:
            networks = OnnxNetworks.here(
                model_files.load_network(files, model_files.DETECTOR),
                model_files.load_network(files, regressor),
                options.session,
            )

        def correspondence() -> Correspondence:
            return load_correspondence(files.locate_derived(model_files.CORRESPONDENCE), command=REGISTER)

        return cls(
            networks,
            model_files.load_bases(files),
            model_files.load_whitening(files),
            options=options,
            correspondence=correspondence,
        )

    @property
    def name(self) -> str:
        return NAME

    @property
    def stand_in(self) -> bool:
        """Whether the dense bases only resemble the Basel model's."""
        return self._bases.stand_in

    def mean_surface(self) -> tuple[Mesh, Array]:
        """The Basel mean in the head frame, mm, and its 68 landmarks (68, 3): what is registered."""
        mesh = Mesh(self._bases.dense.mean.astype(np.float64) * MICROMETERS, self._bases.triangles)
        return mesh, mesh.vertices[self._bases.keypoints]

    def reconstruct(self, items: Sequence[Item]) -> tuple[Outcome, ...]:
        """One outcome per item, in order; the networks see all items together."""
        found = self._found(items)
        crops: list[NDArray[np.float32]] = []
        for (image, _), faces in zip(items, found, strict=True):
            for _, square in [] if isinstance(faces, ReconError) else faces:
                squares = [_moved(square, jitter) for jitter in JITTER[: self._options.crops]]
                crops.append(_network_input(image.pixels, squares))
        raw = self._regressed(crops)
        outcomes: list[Outcome] = []
        at = 0
        for faces in found:
            if isinstance(faces, ReconError):
                outcomes.append(faces)
                continue
            outcomes.append(self._outcome(faces, raw[at : at + len(faces)]))
            at += len(faces)
        return tuple(outcomes)

    def evidence(self, face: ReconstructedFace, model: MorphableModel) -> SurfacePoints:
        """The neutral face on the canonical model. Raises WeightsUnavailable before the registration."""
        if face.backend != NAME:
            raise InvalidValue(f"a face by {face.backend} cannot be read as one by {NAME}")
        return evidence_of(face.neutral, NAME, model, self._correspondence, self._noise)

    @cached_property
    def _correspondence(self) -> Correspondence:
        if self._load_correspondence is None:
            raise ReconstructionFailed("This backend was made without a correspondence.")
        return self._load_correspondence()

    @cached_property
    def _noise(self) -> SurfaceNoise:
        return load_surface_noise(Path(__file__).with_name("noise.toml"))

    # ---- from pictures to regions ------------------------------------------------------------------

    def _found(self, items: Sequence[Item]) -> list[list[Found] | ReconError]:
        """Faces and regions per item; pictures of one size go through the detector together."""
        found: list[list[Found] | ReconError | None] = [None] * len(items)
        sizes: dict[tuple[int, int], list[int]] = {}
        for index, (image, _) in enumerate(items):
            sizes.setdefault((image.height, image.width), []).append(index)
        step = self._options.session.batch
        for same in sizes.values():
            for start in range(0, len(same), step):
                batch = same[start : start + step]
                for index, outcome in zip(batch, self._detected([items[i] for i in batch]), strict=True):
                    found[index] = outcome
        return [f if f is not None else [] for f in found]

    def _detected(self, items: Sequence[Item]) -> list[list[Found] | ReconError]:
        try:
            inputs = [boxes.network_input(_pixels(image)) for image, _ in items]
            offsets, scores = self._networks.detect(np.stack([picture for picture, _ in inputs]))
            return [
                _regions(item, boxes.faces(o, s, picture.shape[1], picture.shape[2], scale))
                for item, o, s, (picture, scale) in zip(items, offsets, scores, inputs, strict=True)
            ]
        except NetworksAway:
            raise
        except Exception as fault:
            if len(items) > 1:  # one of them spoils it for all: each alone
                return [self._detected([item])[0] for item in items]
            return [_failed(fault)]

    # ---- from regions to faces ---------------------------------------------------------------------

    def _regressed(self, crops: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32] | ReconError]:
        """Per face the network's output of each of its crops (C, 62)."""
        if not crops:
            return []
        step = max(1, self._options.session.batch // len(crops[0]))
        raw: list[NDArray[np.float32] | ReconError] = []
        for start in range(0, len(crops), step):
            batch = crops[start : start + step]
            try:
                out = self._networks.regress(np.concatenate(batch))
                raw.extend(out.reshape(len(batch), -1, out.shape[1]))
            except NetworksAway:
                raise
            except Exception as fault:
                if len(batch) == 1:
                    raw.append(_failed(fault))
                else:
                    raw.extend(self._regressed([crop])[0] for crop in batch)
        return raw

    def _outcome(self, faces: Sequence[Found], raw: Sequence[NDArray[np.float32] | ReconError]) -> Outcome:
        made = []
        for (face, square), each in zip(faces, raw, strict=True):
            if isinstance(each, ReconError):
                return each
            try:
                made.append(self._face(face, square, each))
            except Exception as fault:
                return _failed(fault)
        return tuple(made)

    def _face(self, face: DetectedFace, square: Array, raw: NDArray[np.float32]) -> ReconstructedFace:
        parameters = Parameters.of(raw[0], *self._whitening)
        if len(raw) > 1:
            # The camera belongs to the first crop alone; the shape is the same in all of them.
            mean = Parameters.of(raw.mean(axis=0), *self._whitening)
            parameters = Parameters(parameters.camera, mean.identity, mean.expression)
        scale, rotation = scale_and_rotation(parameters.camera)
        bases = self._bases
        landmarks = in_picture(
            bases.landmarks.points(parameters.identity, parameters.expression), parameters, square
        )
        still = bases.dense.points(parameters.identity)
        posed = in_picture(bases.dense.moved(still, parameters.expression), parameters, square)
        neutral = still.astype(np.float64) * MICROMETERS
        return ReconstructedFace(
            backend=NAME,
            box=face.box,
            region=_box(square),
            score=face.score,
            raw=raw[0].astype(np.float64),
            parameters=named_arrays(
                parameters=parameters.flat,
                camera=parameters.camera,
                scale=np.array(scale),
                rotation=rotation,
                translation=parameters.translation,
                identity=parameters.identity,
                expression=parameters.expression,
                landmark_depth=landmarks[:, 2],
            ),
            pose=yaw_pitch_roll(rotation),
            rotation=FRONTAL @ nearest_rotation(rotation.astype(np.float64)),
            landmarks=landmarks[:, :2].astype(np.float64),
            posed=posed.astype(np.float64) * [1.0, 1.0, -1.0],
            neutral=Mesh(neutral, bases.triangles),
        )


def _regions(item: Item, found: NDArray[np.float32]) -> list[Found]:
    """The faces to reconstruct: all that were found, or the one that was asked for."""
    _, wanted = item
    faces = [DetectedFace(_box(row), min(1.0, float(row[4])), np.zeros((0, 2)), "none") for row in found]
    squares = [region.region_of(row) for row in found]
    if wanted is None:
        return list(zip(faces, squares, strict=True))
    shared = [_overlap(wanted.box, face.box) for face in faces]
    if shared and max(shared) >= SAME_FACE:
        best = int(np.argmax(shared))
        return [(faces[best], squares[best])]
    # This detector does not see the face: the other one's box has to do.
    return [(wanted, region.region_of(np.array(wanted.box)))]


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    tall = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(wide, 0.0) * max(tall, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (areas - shared)


def _moved(square: Array, jitter: Array) -> Array:
    """The square displaced and resized; (0, 0, 1) leaves it as it is."""
    if not jitter[:2].any() and jitter[2] == 1:
        return square
    side = square[2:] - square[:2]
    center = (square[:2] + square[2:]) / 2 + jitter[:2] * side
    return np.concatenate([center - jitter[2] * side / 2, center + jitter[2] * side / 2])


def _network_input(pixels: Pixels, squares: Sequence[Array]) -> NDArray[np.float32]:
    # Turned into BGR when they are small.
    crops = np.stack([region.cropped(pixels, square) for square in squares])
    return np.asarray(region.network_input(crops[..., ::-1]))


def _pixels(image: Image) -> Pixels:
    """Raises InvalidValue for what OpenCV would take for something else."""
    if image.pixels.dtype != np.uint8:
        raise InvalidValue("a picture has eight bits per channel")
    return image.pixels


def _box(edges: NDArray[np.float32] | Array) -> Box:
    left, top, right, bottom = (float(v) for v in edges[:4])
    return left, top, right, bottom


def _failed(fault: Exception) -> ReconError:
    """A typed error; nothing of the picture is in it."""
    if isinstance(fault, ReconError):
        return fault
    return ReconstructionFailed(
        f"3DDFA-V2 failed on a picture ({type(fault).__name__}).", next_step="Take the picture again."
    )
