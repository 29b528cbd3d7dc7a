"""Evaluating versions of templates in this process: a part of the composition root. Everything heavy is
imported when it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from recon_service.application.records.evaluations import (
    EvaluationOutcome,
    EvaluationSet,
    PersonObserved,
    SetFacts,
    SideObserved,
    Way,
)
from recon_service.domain.errors import ModelMismatch
from recon_service.settings import Settings

if TYPE_CHECKING:
    from recon_service.application.computing.local_compute import LocalCompute
    from recon_service.application.computing.pipeline import FacePipeline
    from recon_service.comparison.calibration import Calibration
    from recon_service.evaluation.version_sets import OpenedSet
    from recon_service.evaluation.versions import Judge


FRESH_S: Final = 600.0


@dataclass
class EvaluatedVersions:
    """See ``ports.evaluations.Evaluating``. rebuilt: a pipeline with another model. Belongs to one thread at
    a time, as a compute process has it.
    """

    settings: Settings
    rebuilt: Callable[[str], FacePipeline]
    _sets: dict[EvaluationSet, OpenedSet] = field(default_factory=dict)
    _facts: dict[EvaluationSet, tuple[float, SetFacts]] = field(default_factory=dict)
    _computes: dict[Way, LocalCompute] = field(default_factory=dict)
    _pipelines: dict[str, FacePipeline] = field(default_factory=dict)

    def facts(self, which: EvaluationSet) -> SetFacts:
        """A set that was looked at a while ago is looked at anew: it may have changed."""
        from recon_service.evaluation.version_sets import open_set

        known = self._facts.get(which)
        if known is not None and time.monotonic() - known[0] < FRESH_S:
            return known[1]
        settings = self.settings
        self._sets[which] = open_set(which, people=settings.evaluation_people, real=settings.evaluation_set)
        facts = self._sets[which].facts()
        self._facts[which] = time.monotonic(), facts
        return facts

    def person(self, which: EvaluationSet, number: int, way: Way, compute: LocalCompute) -> PersonObserved:
        """compute: with the models in force. Raises WeightsUnavailable, ModelMismatch, InvalidValue."""
        from recon_service.application.computing.evaluation_people import observed_person

        if which not in self._sets:
            self.facts(which)
        recorded = self._sets[which].person(number)
        return observed_person(
            recorded.enrollments, recorded.visits, way, lambda one: self._compute(one, compute)
        )

    def outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved, compute: LocalCompute
    ) -> EvaluationOutcome:
        """Each side under its own calibration where that is installed, else under the one in force. Raises
        ModelMismatch, InvalidValue.
        """
        from recon_service.evaluation.versions import evaluated

        judges = self._judge(former.way, compute), self._judge(candidate.way, compute)
        return evaluated(facts, former, candidate, judges)

    def _judge(self, way: Way, compute: LocalCompute) -> Judge:
        from recon_service.evaluation.versions import Judge

        pipeline = self._compute(way, compute).pipeline
        return Judge(pipeline.calibration, pipeline.appearance_maps, compute.policy)

    def _compute(self, way: Way, compute: LocalCompute) -> LocalCompute:
        if way not in self._computes:
            self._computes[way] = replace(compute, pipeline=self._pipeline(way, compute))
        return self._computes[way]

    def _pipeline(self, way: Way, compute: LocalCompute) -> FacePipeline:
        from recon_service.comparison.appearance import load_appearance_maps

        pipeline = compute.pipeline
        if way.model != pipeline.model.name:
            if way.model not in self._pipelines:
                self._pipelines[way.model] = self.rebuilt(way.model)
            pipeline = self._pipelines[way.model]
        calibration = installed_calibration(way.calibration, pipeline.calibration)
        maps = calibration.appearance.over(load_appearance_maps())
        return replace(pipeline, calibration=calibration, appearance_maps=maps)


def installed_calibration(identity: str, in_force: Calibration) -> Calibration:
    """The released calibration of that name and digest; else the one in force, where it accepts templates
    that were made under the other. Raises ModelMismatch.
    """
    from recon_service.comparison.calibration_file import RELEASED, load_calibration

    if identity == in_force.identity:
        return in_force
    for path in sorted(RELEASED.parent.glob("*.toml")):
        found = load_calibration(path)
        if found.identity == identity and (found.space, found.modes) == (in_force.space, in_force.modes):
            return found
    in_force.require(in_force.space, in_force.modes, identity)
    return in_force


def rebuilt_pipeline(settings: Settings, model: str) -> FacePipeline:
    """A pipeline with the installed model of that name. Raises WeightsUnavailable, ModelMismatch."""
    from recon_service import assembly
    from recon_service.bootstrap import build_pipeline

    for choice in (assembly.ModelChoice.BUILTIN, assembly.ModelChoice.DENSE):
        if assembly.load_model(choice).name == model:
            return build_pipeline(settings.model_copy(update={"model": choice.value}))
    raise ModelMismatch(f"the model {model[:60]} is not installed here", next_step="Install it again.")
