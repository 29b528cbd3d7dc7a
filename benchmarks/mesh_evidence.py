"""What a backend's mesh tells about a rendered person, beside the landmarks:

    python benchmarks/mesh_evidence.py [BACKEND] [--people N] [--selfies N] [--cache FOLDER]

The noise of the mesh is learned on every second person (a table for the backend's noise.toml), and the fits
are tried on the others. Prints the error of the fitted neutral face (root mean square over the surface points
of the model after the best similarity) and how often a person's own truth is nearer than another's (AUC,
cosine of centered coefficients). Needs the dense canonical model and the
backend's files; six seconds a person.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recon_service.application.computing.enroll import examine, selfie_capture
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.backends import ENROLLMENT_CROPS, load_backend
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ReconError
from recon_service.domain.evidence import Capture, SurfacePoints
from recon_service.domain.fit import Fit
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.similarity import best_similarity
from recon_service.fitting import fit_identity
from recon_service.reconstruction.backend import BackendOptions
from recon_service.reconstruction.surface_evidence import SurfaceNoise, regions_of
from recon_service.reconstruction.surface_noise import learned_noise
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

INFLATIONS = (1.0, 4.0)


@dataclass(frozen=True)
class Seen:
    """A person: true coefficients and surface points, and what was seen of them."""

    identity: Array
    surface: Array
    captures: list[Capture]
    meshes: list[SurfacePoints]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("backend", nargs="?", default="tddfa_v2")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--selfies", type=int, default=3)
    parser.add_argument("--cache", type=Path)
    wanted = parser.parse_args()
    try:
        pipeline = build_pipeline(ModelChoice.DENSE)
        people = observed(pipeline, wanted.backend, wanted.people, wanted.selfies, wanted.cache)
    except ReconError as problem:
        print(f"{wanted.backend} cannot be measured here: {problem}")
        return
    model, known, tried = pipeline.model, people[::2], people[1::2]
    meshes = [mesh for person in known for mesh in person.meshes]
    noise = learned_noise(meshes, [p.identity for p in known for _ in p.meshes], model)
    print(f"{wanted.backend}: noise learned on {len(known)} people, fits of {len(tried)} others")
    print("sd, mm:", ", ".join(f"{name} {sd:.1f}" for name, sd in noise.sd.items()))
    print(f"effective points: {noise.effective_points:.1f}")
    spread = np.array([[away(mesh, p.identity, model) for mesh in p.meshes] for p in people])
    within, between = spread.var(axis=1, ddof=1).mean(), spread.mean(axis=1).var(axis=0, ddof=1).mean()
    print(f"error of the mesh: {np.sqrt(within):.2f} mm between pictures of a person,", end=" ")
    print(f"{np.sqrt(between):.2f} mm between the means of people")
    print(f"mean face: {np.mean([distance(model.vertices.mean[model.surface], p) for p in tried]):.2f} mm")
    print(f"{'selfies':>7}  {'evidence':<22} {'error, mm':>9}  {'AUC':>5}")
    for count in sorted({1, wanted.selfies}):
        for name, landmarks, inflation in (
            ("landmarks", True, None),
            ("mesh", False, 1.0),
            *((f"both, inflation {i:g}", True, i) for i in INFLATIONS),
        ):
            fits = [
                fitted(p, count, pipeline, noise, landmarks=landmarks, inflation=inflation) for p in tried
            ]
            points = model.vertices.take(model.surface)
            errors = [
                distance(points.positions(f.posterior.mean), p) for f, p in zip(fits, tried, strict=True)
            ]
            print(f"{count:>7}  {name:<22} {np.mean(errors):>9.2f}  {auc(fits, tried):>5.3f}")


def observed(
    pipeline: FacePipeline, backend: str, people: int, selfies: int, cache: Path | None
) -> list[Seen]:
    model = load_backend(backend, BackendOptions(crops=ENROLLMENT_CROPS))
    population = SyntheticPopulation(PopulationSpec(seed=77, subjects=400), cache=cache)
    found = []
    for index in range(people):
        subject = population.subject(index)
        captures, meshes = [], []
        for number in range(selfies):
            selfie = examine(subject.photograph(number).content, pipeline)
            if selfie.landmarks is None or selfie.image is None:
                continue
            outcome = model.reconstruct([(selfie.image, selfie.face)])[0]
            if not isinstance(outcome, ReconError):
                captures.append(selfie_capture(selfie))
                meshes.append(model.evidence(outcome[0], pipeline.model))
        if len(meshes) == selfies:
            person = subject.person
            truth = person.shape.identity[: pipeline.model.identity_modes]
            found.append(Seen(truth, person.neutral[pipeline.model.surface], captures, meshes))
    return found


def fitted(
    person: Seen,
    count: int,
    pipeline: FacePipeline,
    noise: SurfaceNoise,
    *,
    landmarks: bool,
    inflation: float | None,
) -> Fit:
    """Inflation None: without the meshes."""
    model = pipeline.model
    surfaces = []
    for mesh in person.meshes[:count] if inflation is not None else []:
        where = model.vertices.between(model.triangles[mesh.triangles], mesh.barycentric).mean
        sd = np.array([noise.sd[name] for name in regions_of(where)])
        points = replace(mesh, sd=sd, effective_points=noise.effective_points)
        surfaces.append(replace(points, inflation=(inflation or 1.0) * count))
    captures = person.captures[:count] if landmarks else []
    return fit_identity(model, captures, landmark_model=pipeline.landmark_model, surfaces=surfaces)


def away(mesh: SurfacePoints, identity: Array, model: MorphableModel) -> Array:
    truth = model.vertices.between(model.triangles[mesh.triangles], mesh.barycentric).positions(identity)
    return best_similarity(mesh.points, truth).apply(mesh.points) - truth


def distance(points: Array, person: Seen) -> float:
    apart = best_similarity(points, person.surface).apply(points) - person.surface
    return float(np.sqrt((apart**2).sum(axis=1).mean()))


def auc(fits: list[Fit], people: list[Seen]) -> float:
    found = np.array([fit.posterior.mean for fit in fits])
    truth = np.array([person.identity for person in people])
    found, truth = found - found.mean(axis=0), truth - truth.mean(axis=0)
    alike = found @ truth.T / np.linalg.norm(found, axis=1)[:, None] / np.linalg.norm(truth, axis=1)
    own, others = np.diag(alike), alike[~np.eye(len(alike), dtype=bool)]
    return float((own[:, None] > others).mean())


if __name__ == "__main__":
    main()
