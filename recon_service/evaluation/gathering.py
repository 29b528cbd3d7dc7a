"""Observe a dataset for a calibration: the rows that make sense for it, through the application's code."""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.cache import ObservationCache
from recon_service.evaluation.calibrating import Report
from recon_service.evaluation.dataset import Dataset, Medium
from recon_service.evaluation.draws import Sample, drawn
from recon_service.evaluation.harness import observed_side
from recon_service.evaluation.material import Material, material
from recon_service.evaluation.rows import Row
from recon_service.evaluation.running import PipelineFactory, observe_all

ROWS = (
    "image1-depth1",
    "image1-depth3",
    "landmarks5-depth3",
    "image3-depth1",
    "image3-depth3",
    "image5-depth1",
    "image5-depth3",
    "depth1-depth1",
    "depth3-depth1",
    "depth3-depth3",
    "image5-image1",
    "image1-image1",
)
"""What is learned of a dataset, where it has enough of it."""
DEPTH_ROWS = tuple(name for name in ROWS if Row.parse(name).probe.medium is Medium.DEPTH)
"""What is learned of a further camera before the same people, whose pictures have been learned from."""
APPEARANCE_ROWS = ("image1-image1", "image5-image1", "image5-depth1")
"""What is learned of a further network for appearance."""
LEAST_PEOPLE = 7
"""Two are left out for the figures, two more for the score map, three are left to learn from."""


def gathered(
    dataset: Dataset,
    build: PipelineFactory,
    *,
    model_name: str,
    embedder: str = "",
    cache: ObservationCache,
    draws: int,
    jobs: int,
    rows: Sequence[str] = ROWS,
    report: Report = lambda what, done, total: None,
) -> list[Material]:
    """The materials of every row for which enough people gave something. The same draws as `recon evaluate`
    with its first seed. embedder: name and version of the pipeline's network for appearance.
    """
    everything = [drawn(Row.parse(name), dataset.subjects, draws=draws, seed=0) for name in rows]
    samples: list[Sample] = [s for one in everything for s in (*one.references, *one.probes)]
    observations = observe_all(
        samples,
        dataset,
        build,
        model_name=model_name,
        embedder=embedder,
        cache=cache,
        jobs=jobs,
        progress=lambda done, total: report(f"observing {title(dataset)}", done, total),
    )
    found = []
    for one in everything:
        sides = [
            [s for s in side if observations[s].posterior is not None]
            for side in (one.references, one.probes)
        ]
        if min(len({s.subject for s in side}) for side in sides) < LEAST_PEOPLE:
            continue
        first, second = (observed_side(side, observations) for side in sides)
        counts = one.row.reference.count, one.row.probe.count
        found.append(material(title(dataset), first, second, counts))
    if not found:
        raise InvalidValue(
            f"the dataset {dataset.name} has too few people to learn from: {LEAST_PEOPLE} at least"
        )
    return found


def title(dataset: Dataset) -> str:
    """Name, camera and number of people."""
    return f"{dataset.name} ({dataset.sensor}, {len(dataset.subjects)} people)"
