"""What this process derives templates with: a part of the composition root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.records.models import BackendStanding, ModelsInForce, OtherModel
from recon_service.assembly import BUILTIN, MODEL_NAMES, ModelChoice
from recon_service.backends import availability
from recon_service.comparison.calibration_file import load_calibration, released_for
from recon_service.domain.errors import ReconError
from recon_service.weights import bundled_directory, locate
from recon_service.weights.digest import file_sha256


def models_in_force(pipeline: FacePipeline) -> ModelsInForce:
    """Of a pipeline that was loaded from these files. Raises WeightsUnavailable: a file is gone since."""
    choice = next(choice for choice, name in MODEL_NAMES.items() if name == pipeline.model.name)
    return ModelsInForce(
        model=pipeline.model.name,
        digest=file_sha256(_file(choice)),
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
        others=tuple(_others(but=choice)),
    )


def _others(*, but: ModelChoice) -> Iterator[OtherModel]:
    """Whose files are here."""
    for choice, name in MODEL_NAMES.items():
        if choice is not but:
            with suppress(ReconError):
                _file(choice)
                yield OtherModel(name, load_calibration(released_for(name)).identity, choice.value)


def _file(choice: ModelChoice) -> Path:
    """Raises WeightsUnavailable."""
    return locate("ict-face-model") if choice is ModelChoice.DENSE else bundled_directory() / BUILTIN
