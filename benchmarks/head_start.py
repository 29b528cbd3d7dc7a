"""How often the head is found in a depth map without any picture, against the truth of synthetic people.

    python benchmarks/head_start.py [--population 0] [--subjects 50] [--model dense|builtin] [--cache FOLDER]
        [--sensor structured-light|stereo|time-of-flight]

Two visits of three frames each. A frame counts as wrong when the fitted head pose is off by more than 12°,
as seen when a gate refuses that fit, and as lost when no head is found at all. Needs the dense model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recon_service.application.computing.verify import frame_capture, frame_landmarks
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.domain.errors import ReconError, WeightsUnavailable
from recon_service.fitting import fit_identity
from recon_service.fitting.plausibility import doubts, turn_between
from recon_service.simulation import Stereo, StructuredLight, TimeOfFlight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from recon_service.simulation.sensors import DepthSensor

SENSORS: dict[str, DepthSensor] = {
    "structured-light": StructuredLight(),
    "stereo": Stereo(),
    "time-of-flight": TimeOfFlight(),
}
WRONG_DEG = 12.0
VISITS, FRAMES = 2, 3


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--population", type=int, default=0, help="seed")
    parser.add_argument("--subjects", type=int, default=50)
    parser.add_argument("--model", choices=["dense", "builtin"], default="dense")
    parser.add_argument("--sensor", choices=sorted(SENSORS), default="structured-light")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    try:
        parts = build_pipeline(ModelChoice(arguments.model))
    except WeightsUnavailable as missing:
        print(f"skipped: {missing}")
        return
    spec = PopulationSpec(seed=arguments.population, subjects=arguments.subjects)
    population = SyntheticPopulation(spec, cache=arguments.cache)
    frames = lost = 0
    off, seen = [], []
    for subject in population:
        for visit in range(VISITS):
            for shown in subject.visit_frames(SENSORS[arguments.sensor], visit, FRAMES):
                frames += 1
                try:
                    capture = frame_capture(shown.frame, frame_landmarks(shown.frame, parts), parts)
                    fit = fit_identity(parts.model, [capture], landmark_model=parts.landmark_model)
                except ReconError:
                    lost += 1
                    continue
                off.append(turn_between(fit.captures[0].pose, shown.pose))
                seen.append(
                    bool(doubts(fit, [capture], model=parts.model, landmark_model=parts.landmark_model))
                )
    wrong = np.array(off) > WRONG_DEG
    refused = np.array(seen)
    print(f"{frames} {arguments.sensor} frames: lost {lost}, wrong {wrong.sum()}")
    print(f"wrong and seen by a gate {(wrong & refused).sum()}, right and refused {(~wrong & refused).sum()}")
    print(f"median error of the right ones {np.median(np.array(off)[~wrong]):.1f} degrees")


if __name__ == "__main__":
    main()
