"""The evaluation sets that batches are judged on, as a worker finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recon_service.application.records.evaluations import EvaluationSet, SetFacts
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected, ImageRejected, InvalidValue
from recon_service.evaluation.dataset import Dataset, Subject
from recon_service.evaluation.datasets.folder import folder
from recon_service.evaluation.datasets.synthetic import Sensor, synthetic
from recon_service.evaluation.draws import Sample, drawn
from recon_service.evaluation.rows import Row
from recon_service.evaluation.version import code_version
from recon_service.simulation.population import PopulationSpec

POPULATION: Final = 2027
"""Seed of the simulated people: no calibration was learned on them."""
MOST_PEOPLE: Final = 200
"""Of a real set; the first by name are taken."""
MANY: Final = 60
"""With more people than that every one enrolls once."""
ROWS: Final = ("image5-depth3", "image3-depth3", "image3-depth1", "image1-depth3", "image1-depth1")
"""The first that two people can be drawn for is measured."""


@dataclass(frozen=True, slots=True)
class PersonRecorded:
    """enrollments: files of selfies that are enrolled together. visits: frames that are looked at
    together.
    """

    enrollments: tuple[tuple[bytes, ...], ...]
    visits: tuple[tuple[DepthFrame, ...], ...]


class OpenedSet:
    """A set with its draws. Remembers the last person: both ways of a person come one after the other."""

    def __init__(self, dataset: Dataset, *, draws: int = 2, rows: Sequence[str] = ROWS) -> None:
        self._dataset = dataset
        draws = 1 if len(dataset.subjects) > MANY else draws
        for row in rows:
            found = drawn(Row.parse(row), dataset.subjects, draws=draws, seed=0)
            both = {s.subject for s in found.references} & {s.subject for s in found.probes}
            if len(both) > 1:
                break
        else:
            raise InvalidValue(
                f"the evaluation set {dataset.name} has no two people with selfies and visits",
                next_step="See docs/evaluation.md, Your own recordings.",
            )
        self._row, self._subjects = row, [s for s in dataset.subjects if s.name in both]
        self._references, self._probes = _by_person(found.references), _by_person(found.probes)
        self._last: tuple[int, PersonRecorded] | None = None

    def facts(self) -> SetFacts:
        """With a digest of all that is drawn."""
        digest = hashlib.sha256(self._row.encode())
        for subject in self._subjects:
            for sample in (*self._references[subject.name], *self._probes[subject.name]):
                for item in sample.items:
                    digest.update(f"{subject.name}/{subject.fingerprint(item)};".encode())
                digest.update(b".")
        return SetFacts(
            dataset=self._dataset.name,
            key=digest.hexdigest(),
            people=len(self._subjects),
            row=self._row,
            notes=self._dataset.notes,
            code=code_version(),
        )

    def person(self, number: int) -> PersonRecorded:
        """What was recorded of one person. Raises IndexError."""
        if self._last is None or self._last[0] != number:
            subject = self._subjects[number]
            enrollments = tuple(
                tuple(subject.picture(item) for item in sample.items)
                for sample in self._references[subject.name]
            )
            visits = tuple(_frames(subject, sample) for sample in self._probes[subject.name])
            self._last = number, PersonRecorded(enrollments, visits)
        return self._last[1]


def open_set(which: EvaluationSet, *, people: int, real: Path | None) -> OpenedSet:
    """people: of the simulated set. real: folder of the real one. Raises InvalidValue: there is none."""
    if which is EvaluationSet.SIMULATED:
        if people < 2:
            raise InvalidValue(
                "there are no simulated people to evaluate on", next_step="Set RECON_EVALUATION_PEOPLE."
            )
        spec = PopulationSpec(seed=POPULATION, subjects=people)
        return OpenedSet(synthetic(spec, sensor=Sensor.STRUCTURED_LIGHT))
    if real is None:
        raise InvalidValue(
            "this worker knows no evaluation set of real people", next_step="Set RECON_EVALUATION_SET."
        )
    return OpenedSet(folder(real).first(MOST_PEOPLE))


def _by_person(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.subject, []).append(sample)
    return found


def _frames(subject: Subject, sample: Sample) -> tuple[DepthFrame, ...]:
    """Those that can be read."""
    frames = []
    for item in sample.items:
        try:
            frames.append(subject.frame(item))
        except (DepthRejected, ImageRejected):
            continue
    return tuple(frames)
