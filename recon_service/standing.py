"""What this process derives templates with: a part of the composition root."""

from __future__ import annotations

from recon_service.application.model_records import BackendStanding, ModelsInForce
from recon_service.application.pipeline import FacePipeline
from recon_service.assembly import BUILTIN
from recon_service.backends import availability
from recon_service.weights import bundled_directory, locate
from recon_service.weights.digest import file_sha256

DENSE = "ict-facekit-light"


def models_in_force(pipeline: FacePipeline) -> ModelsInForce:
    """Of a pipeline that was loaded from these files. Raises WeightsUnavailable: a file is gone since."""
    dense = pipeline.model.name == DENSE
    path = locate("ict-face-model") if dense else bundled_directory() / BUILTIN
    return ModelsInForce(
        model=pipeline.model.name,
        digest=file_sha256(path),
        space=pipeline.model.space,
        modes=pipeline.model.identity_modes,
        calibration=pipeline.calibration.identity,
        landmarks=pipeline.landmarker.name,
        appearance=pipeline.embedder.name if pipeline.embedder is not None else "",
        backends=tuple(
            BackendStanding(
                found.backend.name,
                found.problem.code if found.problem else "",
                found.problem.next_step if found.problem else "",
            )
            for found in availability()
        ),
    )
