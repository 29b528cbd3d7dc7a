"""The backends by name. A new one adds a folder and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from recon_service.domain.errors import BackendUnavailable, ReconError, UnknownBackend, WeightsUnavailable
from recon_service.reconstruction.backend import (
    Backend,
    BackendOptions,
    FindsFaces,
    FindsLandmarks,
    GraphOf,
    ModelFiles,
    Reconstructor,
)
from recon_service.reconstruction.session import need_onnx
from recon_service.reconstruction.tddfa_v2 import TDDFA_V2
from recon_service.registration import Correspondence
from recon_service.registration.correspondence import load_correspondence

LANDMARKS_ALONE = "facemesh"
"""The default of an enrollment: landmarks and matches between pictures, no mesh of another model."""


def _deca(files: ModelFiles, options: BackendOptions) -> Reconstructor:
    from recon_service.reconstruction.deca import load_deca

    return load_deca(
        encoder=files.locate_derived("deca"),
        flame=files.locate_derived("flame"),
        landmarks=files.locate_derived("flame-landmarks"),
        detector=_detector(options, "deca"),
        landmarker=options.landmarker,
        correspondence=lambda: _correspondence(files, DECA),
        options=options,
    )


def _faceverse(files: ModelFiles, options: BackendOptions) -> Reconstructor:
    from recon_service.reconstruction.faceverse import load_faceverse

    return load_faceverse(
        encoder=files.locate_derived("faceverse-encoder"),
        head=files.locate_derived("faceverse"),
        detector=_detector(options, "faceverse"),
        landmarker=_landmarker(options, "faceverse"),
        correspondence=lambda: _correspondence(files, FACEVERSE),
        options=options,
    )


def _deca_networks(files: ModelFiles) -> Mapping[str, GraphOf]:
    from recon_service.reconstruction.deca.reconstructor import ENCODER

    return {ENCODER.name: lambda: ENCODER.graph_of(files.locate_derived("deca"))}


def _faceverse_networks(files: ModelFiles) -> Mapping[str, GraphOf]:
    from recon_service.reconstruction.faceverse.reconstructor import ENCODER

    return {ENCODER.name: lambda: ENCODER.graph_of(files.locate_derived("faceverse-encoder"))}


def _needs(*names: str) -> Callable[[ModelFiles], str]:
    """A check that names everything that is missing, not the first of it alone."""

    def check(files: ModelFiles) -> str:
        need_onnx()
        problems: list[WeightsUnavailable] = []
        for name in names:
            try:
                files.locate_derived(name)
            except WeightsUnavailable as problem:
                problems.append(problem)
        if problems:
            raise type(problems[0])(
                " ".join(dict.fromkeys(each.detail for each in problems)),
                next_step=_joined([each.next_step for each in problems]),
            )
        return ""

    return check


def _joined(steps: list[str]) -> str:
    """One sentence of several; commands after one "Run: "."""
    steps = list(dict.fromkeys(steps))
    if all(step.startswith("Run: ") for step in steps):
        return "Run: " + "; ".join(step.removeprefix("Run: ") for step in steps)
    return " ".join(steps)


DECA = Backend(
    name="deca",
    title="DECA (ResNet-50, FLAME)",
    license="non-commercial research only: DECA and FLAME",
    correspondence="deca-correspondence",
    load=_deca,
    check=_needs("deca", "flame", "flame-landmarks"),
    networks=_deca_networks,
)
FACEVERSE = Backend(
    name="faceverse",
    title="FaceVerse v4 (ResNet-50)",
    license="none stated for the model: treated as non-commercial",
    correspondence="faceverse-correspondence",
    load=_faceverse,
    check=_needs("faceverse", "faceverse-encoder"),
    networks=_faceverse_networks,
)
BACKENDS: Mapping[str, Backend] = MappingProxyType({each.name: each for each in (TDDFA_V2, DECA, FACEVERSE)})


@dataclass(frozen=True, slots=True)
class Availability:
    """problem: None where the backend can be loaded. remark: what to know about it all the same."""

    backend: Backend
    problem: ReconError | None
    remark: str = ""


def find(name: str) -> Backend:
    """The backend of that name. Raises UnknownBackend."""
    try:
        return BACKENDS[name]
    except KeyError:
        raise UnknownBackend(
            f"There is no reconstruction backend named {name[:40]!r}.",
            next_step=f"There are: {', '.join([LANDMARKS_ALONE, *BACKENDS])}.",
        ) from None


def availability(files: ModelFiles) -> tuple[Availability, ...]:
    """Every backend, and what keeps it from being loaded."""
    found = []
    for backend in BACKENDS.values():
        try:
            found.append(Availability(backend, None, backend.check(files)))
        except ReconError as problem:
            found.append(Availability(backend, problem))
    return tuple(found)


def networks(files: ModelFiles) -> Mapping[str, GraphOf]:
    """The networks of every backend that can be loaded, by name."""
    usable = [each.backend for each in availability(files) if each.problem is None]
    return {name: graph for backend in usable for name, graph in backend.networks(files).items()}


def load(name: str, files: ModelFiles, options: BackendOptions | None = None) -> Reconstructor:
    """Load a backend. Raises UnknownBackend, WeightsUnavailable, BackendUnavailable."""
    backend = find(name)
    backend.check(files)
    return backend.load(files, options or BackendOptions())


def _detector(options: BackendOptions, name: str) -> FindsFaces:
    if options.detector is None:
        raise BackendUnavailable(f"{name} has no face detector of its own.", next_step="Give it one.")
    return options.detector


def _landmarker(options: BackendOptions, name: str) -> FindsLandmarks:
    if options.landmarker is None:
        raise BackendUnavailable(f"{name} has no landmarks of its own.", next_step="Give it a landmarker.")
    return options.landmarker


def _correspondence(files: ModelFiles, backend: Backend) -> Correspondence:
    return load_correspondence(
        files.locate_derived(backend.correspondence), command=f"recon weights register {backend.name}"
    )
