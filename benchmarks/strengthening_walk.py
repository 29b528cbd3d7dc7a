"""How far a template can be walked toward another person, and what its own visits do to it meanwhile.

    python benchmarks/strengthening_walk.py [--people 40] [--candidates 30] [--steps 8] [--no-guards]
        [--clean] [--camera depth/kinect2 --selfies selfies-photometric/infrared]

People are drawn from the model that the released calibration holds; see
``recon_service/evaluation/strengthening_walk.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.policies import load_policies
from recon_service.comparison.strengthening import room_for
from recon_service.domain.template import Template
from recon_service.evaluation.model_people import CAMERA, SELFIES, ModelPeople, learned_on_them
from recon_service.evaluation.strengthening_walk import Walk


def main() -> None:
    """Print one line for each moment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", action="store_true", help="maps learned without captures that went wrong")
    parser.add_argument("--no-guards", action="store_true")
    parser.add_argument("--camera", default=CAMERA)
    parser.add_argument("--selfies", default=SELFIES)
    asked = parser.parse_args()
    kinds = {"camera": asked.camera, "selfies": asked.selfies}
    calibration = load_calibration()
    if asked.clean:
        calibration = learned_on_them(calibration, **kinds)
    people = ModelPeople(calibration, asked.seed, **kinds)
    policy = load_policies()["pilot-strengthening-1"]
    found: list[list[float]] = []
    for _ in range(asked.people):
        walk = Walk(people, policy, candidates=asked.candidates)
        attacked = walk.walked(steps=asked.steps, guards=not asked.no_guards)
        moments = (walk.template, attacked, visited(walk, asked.steps))
        found.append([share for template in moments for share in walk.shares(template)])
    shares = 100 * np.array(found)
    print(
        f"{asked.people} victims, nearest of {asked.candidates} candidates, {asked.steps} visits: % matching"
    )
    for at, moment in enumerate(("one visit", "after the attack", "after own visits")):
        attacker, victim = shares[:, 2 * at], shares[:, 2 * at + 1]
        ever = 100 * (attacker > 0).mean()
        print(f"{moment:18} attacker {attacker.mean():5.1f} (ever: {ever:.0f})  victim {victim.mean():5.1f}")


def visited(walk: Walk, steps: int) -> Template:
    """The template after as many visits of the person enrolled, those kept that may be."""
    template = walk.template
    for step in range(steps):
        visit = walk.people.visit(walk.victim)
        if walk.guarded(template, visit):
            kept = room_for(template.visits, most=walk.asked.most_visits)
            template = replace(template, visits=(*kept, walk.people.kept(visit, f"own {step}")))
    return template


if __name__ == "__main__":
    main()
