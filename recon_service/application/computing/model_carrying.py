"""A stored template as the model and calibration in force would hold it, where nothing else was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template

CARRIED: Final[Mapping[str, frozenset[str]]] = {
    "released-1": frozenset({"released-1-builtin"}),
    "released-1-builtin": frozenset({"released-1"}),
}
"""By a calibration's name, under which other ones a template may have been made that a batch carries over to
it: pairs for which `benchmarks/model_migration.py` found the error rates of templates that were enrolled
under it (docs/batches.md). A calibration that accepts another one needs no line here.
"""


def carried_over(template: Template, pipeline: FacePipeline) -> Template | str:
    """The template under the names in force, or the code of why it cannot be.

    Two files of one coefficient space share every coefficient (docs/adr/0030): nothing but the names
    changes. Out of another space a posterior goes through the surface that both models share, where the
    pipeline has the map for it; what the detour costs becomes uncertainty (docs/adr/0145), and visits, which
    were fitted in that space, stay behind. A template that was made under a calibration whose templates were
    not measured under the one in force has other errors than that knows of: it is not carried over.
    """
    calibration, visits = pipeline.calibration, template.visits
    try:
        posterior = _in_space(template.posterior, pipeline)
        made = template.calibration.partition("@")[0]
        measured = made in CARRIED.get(calibration.name, frozenset())
        calibration.require(posterior.space, len(posterior.mean), None if measured else template.calibration)
    except ModelMismatch as mismatch:
        return mismatch.code
    if posterior is not template.posterior:
        visits = ()
    return replace(
        template,
        posterior=posterior,
        model=pipeline.model.name,
        calibration=calibration.identity,
        visits=visits,
    )


def _in_space(posterior: IdentityPosterior, pipeline: FacePipeline) -> IdentityPosterior:
    model = pipeline.model
    if posterior.space == model.space:
        return posterior
    for way in pipeline.posterior_maps:
        if (way.source, way.target) == (posterior.space, model.space):
            return way.apply(posterior)
    raise ModelMismatch(
        f"no map leads from {posterior.space} to {model.space}",
        next_step="Ask the subject for new selfies.",
    )
