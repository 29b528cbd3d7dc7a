"""The DECA backend: detected face -> crop -> encoder -> FLAME head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import FRONTAL, nearest_rotation
from recon_service.domain.reconstruction import ReconstructedFace, named_arrays
from recon_service.reconstruction.backend import BackendOptions, FindsFaces, FindsLandmarks
from recon_service.reconstruction.encoded_backend import DetectedBackend
from recon_service.reconstruction.encoders import Encoder, EncoderNetwork, Engine, Parameters, read_arrays
from recon_service.reconstruction.faces_of import Cut
from recon_service.reconstruction.skin import largest_part
from recon_service.registration import Correspondence
from third_party.deca.camera import to_input
from third_party.deca.crop import INPUT_SIDE, SquareCrop, crop_of_detection, crop_of_landmarks, sampled
from third_party.deca.flame import Flame, rotation
from third_party.deca.landmarks import LandmarkTable, SurfacePoints, yaw_of
from third_party.deca.layout import named

MILLIMETERS: Final = 1000.0
OUTLINE_AND_BROWS: Final = (
    162, 227, 137, 177, 138, 150, 149, 148, 152, 377, 378, 379, 367, 401, 366, 447, 389,
    70, 63, 105, 65, 55, 285, 295, 334, 293, 300,
)  # fmt: skip
"""The FaceMesh landmarks nearest to iBUG's outline and brows on the canonical mean (of the other landmarks
none bounds the box)."""


class DecaReconstructor(DetectedBackend[SquareCrop]):
    """See ``FaceReconstructor``; no weights are read here, ``load_deca`` does."""

    name = "deca"
    noise_file = Path(__file__).with_name("noise.toml")

    def __init__(
        self,
        *,
        encoder: Encoder,
        flame: Flame,
        table: LandmarkTable,
        detector: FindsFaces,
        landmarker: FindsLandmarks | None = None,
        correspondence: Callable[[], Correspondence] | None = None,
        options: BackendOptions | None = None,
    ) -> None:
        """landmarker: cuts by the landmarks' box, as DECA was trained; None cuts by the detector's."""
        self._flame, self._table = flame, table
        self._landmarker = landmarker
        triangles = flame.triangles.astype(np.int64)
        super().__init__(
            encoder=encoder,
            detector=detector,
            triangles=triangles,
            skin=largest_part(triangles, len(flame.template)),
            correspondence=correspondence,
            options=options or BackendOptions(),
        )

    def mean_surface(self) -> tuple[Mesh, Array]:
        """See ``EncodedBackend``."""
        vertices = self._flame.template * MILLIMETERS
        return Mesh(vertices, self._skin), self._table.full.on(vertices, self._triangles)

    def _cut(self, image: Image, face: DetectedFace) -> Cut[SquareCrop]:
        if self._landmarker is None:
            crop = crop_of_detection(face.box)
        else:
            points = self._landmarker.landmarks(image, face).points
            crop = crop_of_landmarks(points[list(OUTLINE_AND_BROWS)])
        inputs = [sampled(image.pixels, crop.moved(*jitter)) for jitter in self._jitter]
        return Cut(face, crop, np.stack(inputs))

    def assemble(self, cut: Cut[SquareCrop], outputs: NDArray[np.float32]) -> ReconstructedFace:
        """The face of the outputs (J, 236) for a crop and its displaced copies. Raises InvalidValue where
        they are not finite.
        """
        outputs = finite(np.asarray(outputs, dtype=np.float64), "the network's output")
        raw = outputs[0]
        code = named(raw)
        # Pose and camera belong to the first crop alone; the face is the same in all of them.
        mean = named(outputs.mean(axis=0))
        root = rotation(code.global_rotation)
        posed = self._flame.posed(mean.shape, code.expression, root=code.global_rotation, jaw=code.jaw)
        landmarks = self._table.seen(posed, self._triangles, yaw_of(root))
        seen = to_input(np.concatenate([posed, landmarks]), code.scale, code.offset)
        in_image = np.column_stack([cut.crop.to_image(seen[:, :2]), seen[:, 2] * cut.crop.step])
        left, top = cut.crop.left, cut.crop.top
        side = cut.crop.step * (INPUT_SIDE - 1)
        return ReconstructedFace(
            backend=self.name,
            box=cut.face.box,
            region=(left, top, left + side, top + side),
            score=cut.face.score,
            raw=raw,
            parameters=named_arrays(
                shape=mean.shape,
                texture=code.texture,
                expression=code.expression,
                global_rotation=code.global_rotation,
                jaw=code.jaw,
                camera=np.array([code.scale, *code.offset]),
                light=code.light,
            ),
            pose=_degrees(root),
            rotation=nearest_rotation(FRONTAL @ root),
            landmarks=in_image[len(posed) :, :2],
            posed=in_image[: len(posed)],
            neutral=Mesh(self._flame.neutral(mean.shape) * MILLIMETERS, self._triangles),
        )


def _degrees(root: Array) -> tuple[float, float, float]:
    """(yaw, pitch, roll): turns about y, x and z in the factorization z · y · x, by which the landmarks'
    table is read too.
    """
    pitch = float(np.rad2deg(np.arctan2(root[2, 1], root[2, 2])))
    roll = float(np.rad2deg(np.arctan2(root[1, 0], root[0, 0])))
    return yaw_of(root), pitch, roll


def load_deca(
    *,
    encoder: Path,
    flame: Path,
    landmarks: Path,
    detector: FindsFaces,
    landmarker: FindsLandmarks | None = None,
    correspondence: Callable[[], Correspondence] | None = None,
    options: BackendOptions | None = None,
    engine: Engine = Engine.ONNX,
) -> DecaReconstructor:
    """The backend from converted files. Raises WeightsUnavailable for files that are none, BackendUnavailable
    where the package that runs the network is not installed.
    """
    options = options or BackendOptions()
    return DecaReconstructor(
        flame=read_arrays(flame, Flame),
        table=read_arrays(landmarks, _table),
        encoder=ENCODER.load(encoder, options, engine),
        detector=detector,
        landmarker=landmarker,
        correspondence=correspondence,
        options=options,
    )


def _graph(parameters: Parameters) -> Any:
    from third_party.deca.graph import encoder_graph  # onnx: only where pictures are served

    return encoder_graph(parameters)


ENCODER: Final = EncoderNetwork("deca/encoder", _graph, "third_party.deca.encoder")


def _table(**arrays: NDArray[Any]) -> LandmarkTable:
    return LandmarkTable(
        **{
            part: SurfacePoints(arrays[f"{part}_faces"], arrays[f"{part}_weights"])
            for part in ("fixed", "contour", "full")
        }
    )
