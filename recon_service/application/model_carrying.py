"""A stored template as the model and calibration in force would hold it, where nothing else was kept."""

from __future__ import annotations

from dataclasses import replace

from recon_service.application.pipeline import FacePipeline
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Template


def carried_over(template: Template, pipeline: FacePipeline) -> Template | str:
    """The template under the names in force, or the code of why it cannot be.

    Two files of one coefficient space share every coefficient (docs/adr/0030): nothing but the names
    changes, and nothing is lost. A template of another space, or made under a calibration that the one in
    force does not accept, has other errors than that knows of: it is not carried over.
    """
    posterior = template.posterior
    try:
        pipeline.calibration.require(posterior.space, len(posterior.mean), template.calibration)
    except ModelMismatch as mismatch:
        return mismatch.code
    return replace(template, model=pipeline.model.name, calibration=pipeline.calibration.identity)
