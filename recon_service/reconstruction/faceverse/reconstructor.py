"""The FaceVerse backend: dense landmarks -> crop -> encoder -> head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import nearest_rotation
from recon_service.domain.reconstruction import ReconstructedFace, named_arrays
from recon_service.reconstruction.backend import BackendOptions, FindsFaces, FindsLandmarks
from recon_service.reconstruction.encoded_backend import DetectedBackend
from recon_service.reconstruction.encoders import Encoder, EncoderNetwork, Engine, Parameters, read_arrays
from recon_service.reconstruction.faces_of import Cut
from recon_service.reconstruction.skin import largest_part
from recon_service.registration import Correspondence
from third_party.faceverse.camera import FOCAL, to_camera, to_input
from third_party.faceverse.crop import INPUT_SIDE, CropBox, box_of_landmarks, crop_of, sampled
from third_party.faceverse.layout import named
from third_party.faceverse.model import MILLIMETERS_PER_UNIT, FaceVerse, head_rotation


class FaceVerseReconstructor(DetectedBackend[CropBox]):
    """See ``FaceReconstructor``; no weights are read here, ``load_faceverse`` does."""

    name = "faceverse"
    noise_file = Path(__file__).with_name("noise.toml")

    def __init__(
        self,
        *,
        encoder: Encoder,
        head: FaceVerse,
        detector: FindsFaces,
        landmarker: FindsLandmarks,
        correspondence: Callable[[], Correspondence] | None = None,
        options: BackendOptions | None = None,
    ) -> None:
        """Raises WeightsUnavailable for a model whose landmarks are a mirrored face."""
        self._head = head
        self._landmarker = landmarker
        self._axes = head_axes(head.mean[head.landmarks])
        triangles = head.triangles.astype(np.int64)
        on_face = triangles[head.face[triangles].all(axis=1)]
        super().__init__(
            encoder=encoder,
            detector=detector,
            triangles=triangles,
            skin=largest_part(on_face, len(head.mean)),
            correspondence=correspondence,
            options=options or BackendOptions(),
        )

    def mean_surface(self) -> tuple[Mesh, Array]:
        """See ``EncodedBackend``."""
        vertices = self._in_head_frame(self._head.mean)
        return Mesh(vertices, self._skin), vertices[self._head.landmarks]

    def _in_head_frame(self, vertices: Array) -> Array:
        return np.asarray(vertices @ self._axes.T * MILLIMETERS_PER_UNIT)

    def _cut(self, image: Image, face: DetectedFace) -> Cut[CropBox]:
        crop = crop_of(box_of_landmarks(self._landmarker.landmarks(image, face).points))
        inputs = [sampled(image.pixels, crop.moved(*jitter)) for jitter in self._jitter]
        return Cut(face, crop, np.stack(inputs))

    def assemble(self, cut: Cut[CropBox], outputs: NDArray[np.float32]) -> ReconstructedFace:
        """The face of the outputs (J, 621) for a crop and its displaced copies. Raises InvalidValue where
        they are not finite.
        """
        outputs = finite(np.asarray(outputs, dtype=np.float64), "the network's output")
        raw = outputs[0]
        code = named(raw)
        # Pose and camera belong to the first crop alone; the face is the same in all of them.
        mean = named(outputs.mean(axis=0))
        shaped = self._head.shaped(mean.identity, code.expression, code.eyes)
        in_camera = to_camera(shaped, code.angles, code.translation)
        pixels = cut.crop.to_image(to_input(in_camera))
        depth = in_camera[:, 2]
        size = (cut.crop.right - cut.crop.left) / INPUT_SIDE * FOCAL / float(depth.mean())
        pitch, yaw, roll = (float(v) for v in np.rad2deg(code.angles))
        return ReconstructedFace(
            backend=self.name,
            box=cut.face.box,
            region=(
                float(cut.crop.left),
                float(cut.crop.top),
                float(cut.crop.right),
                float(cut.crop.bottom),
            ),
            score=cut.face.score,
            raw=raw,
            parameters=named_arrays(
                identity=mean.identity,
                expression=code.expression,
                texture=code.texture,
                light=code.light,
                angles=code.angles,
                translation=code.translation,
                eyes=code.eyes,
            ),
            pose=(yaw, pitch, roll),
            rotation=nearest_rotation(head_rotation(code.angles) @ self._axes.T),
            landmarks=pixels[self._head.landmarks],
            posed=np.column_stack([pixels, (depth - depth.mean()) * size]),
            neutral=Mesh(self._in_head_frame(self._head.neutral(mean.identity)), self._triangles),
        )


def head_axes(landmarks: Array) -> Array:
    """The rotation (3, 3) that takes the model's axes to those of the head frame: x to the subject's left, y
    up, z out of the face; a model's axes are those up to order and sign.

    landmarks: (68, 3) of the mean. Raises WeightsUnavailable where they are a mirrored face.
    """
    across = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)
    up = landmarks[36:48].mean(axis=0) - landmarks[48:60].mean(axis=0)
    out = np.cross(across, up)
    rows = np.stack([axis / np.linalg.norm(axis) for axis in (across, up, out)])
    axes = np.zeros((3, 3))
    axes[np.arange(3), np.abs(rows).argmax(axis=1)] = np.sign(rows[np.arange(3), np.abs(rows).argmax(axis=1)])
    nose = landmarks[30] - landmarks[36:48].mean(axis=0)
    proper = np.allclose(axes @ axes.T, np.eye(3)) and np.linalg.det(axes) > 0
    if not (proper and nose @ out > 0 and (np.abs(rows @ axes.T - np.eye(3)) < 0.5).all()):
        raise WeightsUnavailable(
            "FaceVerse's landmarks are not those of an upright face along the axes",
            next_step="Convert the original file again.",
        )
    return axes


def load_faceverse(
    *,
    encoder: Path,
    head: Path,
    detector: FindsFaces,
    landmarker: FindsLandmarks,
    correspondence: Callable[[], Correspondence] | None = None,
    options: BackendOptions | None = None,
    engine: Engine = Engine.ONNX,
) -> FaceVerseReconstructor:
    """The backend from converted files. Raises WeightsUnavailable for files that are none, BackendUnavailable
    where the package that runs the network is not installed.
    """
    options = options or BackendOptions()
    return FaceVerseReconstructor(
        head=read_arrays(head, FaceVerse),
        encoder=ENCODER.load(encoder, options, engine),
        detector=detector,
        landmarker=landmarker,
        correspondence=correspondence,
        options=options,
    )


def _graph(parameters: Parameters) -> Any:
    from third_party.faceverse.graph import encoder_graph  # onnx: only where pictures are served

    return encoder_graph(parameters)


ENCODER: Final = EncoderNetwork("faceverse/encoder", _graph, "third_party.faceverse.encoder")
