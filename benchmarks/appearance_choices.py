"""How far a map of appearance, learned on few people of one session, should be drawn toward no evidence.

    RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1 python benchmarks/appearance_choices.py --root FOLDER

A map is learned on people drawn at random from the pictures as they are, its slope and offset are multiplied
with a share, and it is tried on the people who were left out: on pictures as they are, and with probes that
are poorer than anything it was learned from (half the resolution with blur, noise, and a lamp from the side,
which stand for another day). Cllr in bits, 1 is no evidence; mean and worst tenth of the draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from recon_service.appearance.aligned_face import aligned_face
from recon_service.assembly import ModelChoice, build_pipeline, use_one_thread
from recon_service.domain.arrays import Array
from recon_service.domain.images import Image
from recon_service.evaluation.appearance_learning import shrunk
from recon_service.evaluation.calibration import learned_map, min_cllr
from recon_service.evaluation.kinect2 import EXPRESSIONS, kinect2_subjects
from recon_service.evaluation.metrics import cllr

SHARES = (1.0, 0.75, 0.5, 0.35, 0.25)
DRAWS = 40
Picture = np.ndarray


def as_is(pixels: Picture, rng: np.random.Generator) -> Picture:
    return pixels


def half_size(pixels: Picture, rng: np.random.Generator) -> Picture:
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), 0.6)
    return cv2.resize(blurred, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def noisy(pixels: Picture, rng: np.random.Generator) -> Picture:
    noise = rng.normal(0.0, 14.0, pixels.shape[:2])[..., None]
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def lamp_from_the_side(pixels: Picture, rng: np.random.Generator) -> Picture:
    side = rng.choice([-1.0, 1.0])
    slope = 1.0 + 0.6 * side * np.linspace(-1.0, 1.0, pixels.shape[1])
    return np.clip(0.8 * pixels * slope[None, :, None], 0, 255).astype(np.uint8)


CONDITIONS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "as they are": as_is,
    "half the resolution": half_size,
    "noise": noisy,
    "lamp from the side": lamp_from_the_side,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--network", default="edgeface-xs")
    parser.add_argument("--step", type=int, default=2, help="every so many frames")
    arguments = parser.parse_args()
    use_one_thread()
    pipeline = build_pipeline(ModelChoice.BUILTIN, appearance=arguments.network)
    rng = np.random.default_rng(0)
    person, pose, vectors = [], [], {name: [] for name in CONDITIONS}
    for number, subject in enumerate(kinect2_subjects(arguments.root)):
        for frame in subject.frames()[:: arguments.step]:
            image = subject.infrared(frame)
            faces = pipeline.detector.detect(image)
            if not faces:
                continue
            # Where the face is, is not what is tried here.
            landmarks = pipeline.landmarker.landmarks(image, faces[0])
            crops = [
                aligned_face(Image(np.ascontiguousarray(change(image.pixels, rng))), landmarks)
                for change in CONDITIONS.values()
            ]
            for name, vector in zip(CONDITIONS, pipeline.embedder.embed(crops), strict=True):
                vectors[name].append(vector)
            person.append(number)
            pose.append(frame // EXPRESSIONS)
    people, poses = np.array(person), np.array(pose)
    known = {name: np.stack(v) for name, v in vectors.items()}
    apart = poses[:, None] != poses[None, :]
    same = people[:, None] == people[None, :]
    cosine = {name: known["as they are"] @ v.T for name, v in known.items()}
    for name, values in cosine.items():
        print(
            f"{name}: genuine {values[apart & same].mean():.3f}, impostor {values[apart & ~same].mean():.3f}"
        )
    for learned_on in (8, 5):
        table(learned_on, people, apart, same, cosine, rng)


def table(
    learned_on: int,
    people: Array,
    apart: Array,
    same: Array,
    cosine: dict[str, Array],
    rng: np.random.Generator,
) -> None:
    """One line for each share: Cllr on people who were left out, in every condition."""
    names = np.unique(people)
    found = {(share, name): [] for share in SHARES for name in cosine}
    best = {name: [] for name in cosine}
    for _ in range(DRAWS):
        chosen = np.isin(people, rng.choice(names, learned_on, replace=False))
        inside, outside = np.ix_(chosen, chosen), np.ix_(~chosen, ~chosen)
        here = cosine["as they are"][inside]
        full = learned_map(here[(apart & same)[inside]], here[(apart & ~same)[inside]], people=learned_on)
        for name, values in cosine.items():
            genuine = values[outside][(apart & same)[outside]]
            impostor = values[outside][(apart & ~same)[outside]]
            best[name].append(min_cllr(genuine, impostor))
            for share in SHARES:
                one = shrunk(full, share)
                found[share, name].append(cllr(one(genuine), one(impostor)))
    print(f"\nlearned on {learned_on}, tried on {len(names) - learned_on} others: Cllr, mean (worst tenth)")
    print("share | " + " | ".join(cosine))
    for share in SHARES:
        cells = [f"{np.mean(f):.3f} ({np.quantile(f, 0.9):.3f})" for f in (found[share, n] for n in cosine)]
        print(f"{share:g} | " + " | ".join(cells))
    print("least possible | " + " | ".join(f"{np.mean(best[name]):.3f}" for name in cosine))


if __name__ == "__main__":
    main()
