"""The course of the demonstration."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.demo.client import Client, depth_png, intrinsics
from recon_service.demo.comparisons import Comparison, Trial
from recon_service.demo.person import Person
from recon_service.demo.simulated import simulated_person, texture_of
from recon_service.evaluation.kinect2 import CAMERA_NAME
from recon_service.rendering.fit_files import fit_files
from recon_service.simulation import Stereo

Progress = Callable[[str, float], None]

SELFIES, DEPTH = "selfie/depth HTTP", "depth/depth local"
NOTES = {
    SELFIES: (
        "selfie/depth: several selfies of one person, their skin matched between the views, against one visit"
        " to the kiosk; the scores are cautious (docs/calibration.md): between 0 and 3 a decision is"
        " INCONCLUSIVE, which counts as not right"
    ),
    DEPTH: "depth/depth: one visit to the kiosk against another, no selfie: what the 3D side does by itself",
}
SIMULATED, REAL = "SIMULATED", "real"
ABOUT = {
    SIMULATED: "SIMULATED people are samples of the model itself: they show that the path works, not how well"
    " people are told apart",
    REAL: "real people: some subjects of a Kinect v2, one session each, infrared frames for selfies",
}


@dataclass
class Show:
    """What the parts of the demonstration share."""

    console: Console
    client: Client
    pipeline: FacePipeline
    out: Path
    progress: Progress
    trials: list[Trial] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)

    def enroll_portraits(self, portraits: dict[str, bytes]) -> None:
        """Enroll the two portraits over HTTP; draw what the same code finds in them here."""
        for name, portrait in portraits.items():
            operation = self.client.enroll(name, [portrait], progress=self._following(f"enrolling {name}"))
            selfie = operation["selfies"][0]
            score = selfie["score"]
            self.console.print(f"enrolled {name} over HTTP: {operation['state']}, quality {score:.0f} of 100")
            self._write(f"{name}-enrolled.glb", self.client.mesh(operation))
            self.progress(f"drawing {name}", 0.5)
            result = enroll([portrait], self.pipeline)
            for file, content in fit_files(result, [name], self.pipeline.model):
                # The person's files are called face-…; here there are several persons.
                self._write(file if file.startswith(name) else f"{name}-{file}", content)

    def simulated(self, portraits: Sequence[bytes], *, people: int, seed: int) -> None:
        """Heads of known shape: enroll from rendered selfies, verify simulated depth captures."""
        rng = np.random.default_rng(seed)
        textures = [texture_of(portrait, self.pipeline) for portrait in portraits]
        drawn = []
        for number in range(people):
            self.progress("rendering simulated people", number / people)
            drawn.append(
                simulated_person(f"sim-{number}", textures[number % len(textures)], self.pipeline, rng)
            )
        self._write("SIMULATED-selfie.jpg", drawn[0].selfies[-1])
        # One capture as a kiosk would send it, to try the service with by hand.
        capture = drawn[0].visits[0][0]
        self._write("SIMULATED-depth.png", depth_png(capture))
        self._write("SIMULATED-intrinsics.json", json.dumps(intrinsics(capture), indent=2).encode())
        self._trials(drawn, SIMULATED, Stereo.name)

    def recorded(self, people: Sequence[Person], *, keep_pictures: bool) -> None:
        """Real people: enroll from infrared frames, verify other depth frames."""
        self._trials(people, REAL, CAMERA_NAME)
        if keep_pictures:
            self._draw(people)

    def _trials(self, people: Sequence[Person], label: str, source: str) -> None:
        enrolled = []
        for person in people:
            operation = self.client.enroll(
                person.name, person.selfies, progress=self._following(f"{label}: enrolling {person.name}")
            )
            if operation["template_id"] is None:
                self.console.print(f"{person.name} was not enrolled: {_why(operation)}", highlight=False)
            else:
                enrolled.append(person)
        asked = []
        pairs = [(e, p) for e in enrolled for p in people]
        for number, (reference, probe) in enumerate(pairs):
            self.progress(f"{label}: verifying {probe.name} as {reference.name}", number / len(pairs))
            verdict = self.client.verify(reference.name, probe.visits[0])
            asked.append(Comparison(reference.name, probe.name, verdict.score, verdict.decision))
        for what, comparisons in ((SELFIES, asked), (DEPTH, self._depth(people, label, source))):
            self.trials.append(Trial(label, what, (ABOUT[label], NOTES[what]), tuple(comparisons)))

    def _depth(self, people: Sequence[Person], label: str, source: str) -> list[Comparison]:
        fits = []
        for number, person in enumerate(people):
            self.progress(f"{label}: depth against depth", number / len(people))
            fits.append([observe(visit, self.pipeline).posterior for visit in person.visits])
        scores = []
        for reference, (_, second) in zip(people, fits, strict=True):
            for probe, (first, _) in zip(people, fits, strict=True):
                llr = None
                if first is not None and second is not None:
                    llr = compare(
                        second,
                        first,
                        reference_kind=EvidenceKind.depth(source, len(reference.visits[1])),
                        probe_kind=EvidenceKind.depth(source, len(probe.visits[0])),
                        calibration=self.pipeline.calibration,
                    ).llr
                scores.append(Comparison(reference.name, probe.name, llr))
        return scores

    def _draw(self, people: Sequence[Person]) -> None:
        for person in people:
            result = enroll(person.selfies[:1], self.pipeline)
            for file, content in fit_files(result, [person.name], self.pipeline.model):
                if file.endswith("-overlay.png"):
                    self._write(file, content)

    def _following(self, what: str) -> Progress:
        return lambda stage, share: self.progress(f"{what}: {stage}", share)

    def _write(self, name: str, content: bytes) -> None:
        path = self.out / name
        path.write_bytes(content)
        self.pictures.append(path)


def _why(operation: dict[str, object]) -> str:
    problem = operation.get("problem")
    return str(problem["detail"]) if isinstance(problem, dict) else str(operation.get("state"))
