"""3DDFA-V2 as a backend: detect, cut out, regress, and the Basel mesh of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ReconError
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import FRONTAL, nearest_rotation
from recon_service.domain.reconstruction import Box, ReconstructedFace, named_arrays
from recon_service.reconstruction.backend import BackendOptions, Item, ModelFiles
from recon_service.reconstruction.elsewhere import NetworksAway
from recon_service.reconstruction.encoded_backend import EncodedBackend
from recon_service.reconstruction.faces_of import Cut, Cuts, failure
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
REGISTER = "recon weights register tddfa_v2"

Pixels = NDArray[np.uint8]
Found = tuple[DetectedFace, Array]
"""A face and its region of interest."""


class TddfaV2(EncodedBackend[Array]):
    """The backend; a crop is its region of interest. Thread-safe: everything it holds is read only."""

    name = NAME
    noise_file = Path(__file__).with_name("noise.toml")

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
        options = options or BackendOptions()
        self._networks, self._bases, self._whitening = networks, bases, whitening
        self._at_once = options.session.batch
        super().__init__(
            encoder=networks.regress,
            triangles=bases.triangles,
            skin=bases.triangles,
            correspondence=correspondence,
            options=options,
        )

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

    def mean_surface(self) -> tuple[Mesh, Array]:
        """The Basel mean in the head frame, mm, and its 68 landmarks (68, 3): what is registered."""
        mesh = Mesh(self._bases.dense.mean.astype(np.float64) * MICROMETERS, self._bases.triangles)
        return mesh, mesh.vertices[self._bases.keypoints]

    # ---- from pictures to regions ------------------------------------------------------------------

    def _cuts(self, items: Sequence[Item]) -> Sequence[Cuts[Array]]:
        return [
            found if isinstance(found, ReconError) else [self._cut(image, *each) for each in found]
            for (image, _), found in zip(items, self._found(items), strict=True)
        ]

    def _cut(self, image: Image, face: DetectedFace, square: Array) -> Cut[Array]:
        squares = [_moved(square, jitter) for jitter in self._jitter]
        return Cut(face, square, _network_input(image.pixels, squares))

    def _found(self, items: Sequence[Item]) -> list[list[Found] | ReconError]:
        """Faces and regions per item; pictures of one size go through the detector together."""
        found: list[list[Found] | ReconError | None] = [None] * len(items)
        sizes: dict[tuple[int, int], list[int]] = {}
        for index, (image, _) in enumerate(items):
            sizes.setdefault((image.height, image.width), []).append(index)
        step = self._at_once
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
            return [failure(NAME, fault)]

    # ---- from regions to faces ---------------------------------------------------------------------

    def assemble(self, cut: Cut[Array], outputs: NDArray[np.float32]) -> ReconstructedFace:
        """The face of the outputs (J, 62) for a crop and its displaced copies."""
        raw, square = outputs, cut.crop
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
            box=cut.face.box,
            region=_box(square),
            score=cut.face.score,
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


def _moved(square: Array, jitter: tuple[float, float, float]) -> Array:
    """The square displaced and resized; (0, 0, 1) leaves it as it is."""
    if jitter == (0.0, 0.0, 1.0):
        return square
    offset, size = np.array(jitter[:2]), np.float64(jitter[2])
    side = square[2:] - square[:2]
    center = (square[:2] + square[2:]) / 2 + offset * side
    return np.concatenate([center - size * side / 2, center + size * side / 2])


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
