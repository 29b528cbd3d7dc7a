"""How much a head has to turn between selfies before matching their skin says more than landmarks do.

    python benchmarks/selfie_views.py [--population 77] [--subjects 14]

Synthetic people take three selfies, straight on and turned by an angle to either side (they miss it by 3°),
and visit a structured-light camera twice, three frames without pictures each. Per angle, with the skin
matched whatever the turn and by landmarks alone: the mean log-likelihood ratio of genuine comparisons, the
share of them below 0, the mean of impostors, and the area under the curve. Needs the dense model.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from recon_service.application.computing import views
from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline, use_one_thread
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.simulation import StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

TURNS = (0.0, 3.0, 6.0, 10.0, 15.0, 30.0)
VISITS, FRAMES = 2, 3


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--population", type=int, default=77, help="seed")
    parser.add_argument("--subjects", type=int, default=14)
    arguments = parser.parse_args()
    use_one_thread()
    views.LEAST_TURN_DEG = 0.0
    pipeline = build_pipeline(ModelChoice.DENSE, appearance="off")
    spec = PopulationSpec(seed=arguments.population, subjects=arguments.subjects)
    people = list(SyntheticPopulation(spec))
    sensor = StructuredLight()
    visits = [observe(one.visit(sensor, v, FRAMES), pipeline) for one in people for v in range(VISITS)]
    probes = [(probe.posterior, EvidenceKind.depth(probe.source, len(probe.fits))) for probe in visits]
    print("turn  matched: genuine  < 0   impostor  AUC    landmarks: genuine  < 0   impostor  AUC")
    for turn in TURNS:
        pictures = [[p.content for p in one.photographs(3, yaws=(0.0, -turn, turn))] for one in people]
        told = [scored(pictures, probes, way) for way in (pipeline, replace(pipeline, matcher=None))]
        print(f"{turn:4.0f}           " + "              ".join(told))


def scored(
    pictures: list[list[bytes]],
    probes: list[tuple[IdentityPosterior | None, EvidenceKind]],
    pipeline: FacePipeline,
) -> str:
    """The figures of one way to enroll."""
    genuine, impostor = [], []
    for person, contents in enumerate(pictures):
        result = enroll(contents, pipeline)
        if result.fit is None:
            continue
        kind = EvidenceKind.of(result.source, len(result.used))
        for number, (posterior, seen) in enumerate(probes):
            if posterior is not None:
                means = result.fit.posterior.mean[None], posterior.mean[None]
                ratio = float(pipeline.calibration.llr(kind, seen, *means)[0][0])
                (genuine if number // VISITS == person else impostor).append(ratio)
    mine, others = np.array(genuine), np.array(impostor)
    return f"{mine.mean():7.1f}  {(mine < 0).mean():4.0%}  {others.mean():7.1f}  {_area(mine, others):.3f}"


def _area(mine: Array, others: Array) -> float:
    return float((mine[:, None] > others[None]).mean())


if __name__ == "__main__":
    main()
