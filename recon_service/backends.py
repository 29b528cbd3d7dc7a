"""Reconstruction backends put together from the files that are there: a part of the composition root."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import replace

from recon_service.canonical_model import load_ict, load_ict_landmarks
from recon_service.detection.mediapipe_short_range import MediaPipeShortRange
from recon_service.domain.errors import WeightsUnavailable
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction import registry
from recon_service.reconstruction.backend import BackendOptions, GraphOf, Reconstructor
from recon_service.reconstruction.elsewhere import NetworksElsewhere
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker
from recon_service.reconstruction.registry import Availability
from recon_service.reconstruction.session import SessionOptions
from recon_service.registration import RegistrationReport, register
from recon_service.settings import Settings
from recon_service.weights import WeightStore
from recon_service.weights.derived import StoredFiles, write_derived
from recon_service.weights.digest import file_sha256

ENROLLMENT_CROPS = 7
"""Crops per face of an enrollment: one alone moves the shape by a quarter of the distance between people."""


def availability() -> tuple[Availability, ...]:
    """Every backend, and what keeps it from being loaded here."""
    return registry.availability(_files())


def load_backend(name: str, options: BackendOptions | None = None) -> Reconstructor:
    """Load a backend; those without a detector of their own get the service's.

    Raises UnknownBackend, WeightsUnavailable, BackendUnavailable, each with the next step.
    """
    files, options = _files(), options or BackendOptions()
    registry.find(name).check(files)
    if options.detector is None:
        with contextlib.suppress(WeightsUnavailable):  # a backend that needs them says so
            options = replace(
                options,
                detector=MediaPipeShortRange(files.locate("face-detection-short-range")),
                landmarker=FaceMeshLandmarker(files.locate("face-landmark")),
            )
    return registry.load(name, files, options)


class Backends:
    """Backends for enrollments, each loaded once, when it is first asked for. Thread-safe."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        self._options = options or BackendOptions(crops=ENROLLMENT_CROPS)
        self._loaded: dict[str, Reconstructor] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Reconstructor:
        """Raises UnknownBackend, WeightsUnavailable, BackendUnavailable."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_backend(name, self._options)
            return self._loaded[name]


def files_of(name: str) -> str:
    """What changes when the backend's files do: a remark on them, and the digest of its correspondence with
    the canonical model, which was made from the rest.

    Raises UnknownBackend, WeightsUnavailable, BackendUnavailable, each with the next step.
    """
    files, backend = _files(), registry.find(name)
    remark = backend.check(files)
    return f"{name}@{file_sha256(files.locate_derived(backend.correspondence))} {remark}".strip()


def network_graphs() -> Mapping[str, GraphOf]:
    """The networks of every backend that can be loaded here, by name."""
    return registry.networks(_files())


def backends_of(settings: Settings) -> Backends:
    """Backends for enrollments; their networks run where the settings say."""
    elsewhere = None
    if settings.network_process and settings.network_socket is not None:
        elsewhere = NetworksElsewhere(settings.network_socket)
    # On the CPU here: a GPU belongs to one process, and there are several like this one.
    session = SessionOptions(Device.CPU)
    return Backends(BackendOptions(session, crops=ENROLLMENT_CROPS, networks=elsewhere))


def register_backend(name: str, *, check: bool = True) -> tuple[str, RegistrationReport]:
    """Compute a backend's correspondence with the dense canonical model and keep it; its path and how well
    it went.

    check: measure at landmarks that were left out, which takes twice as long. Raises UnknownBackend,
    WeightsUnavailable, BackendUnavailable.
    """
    backend = registry.find(name)
    store = WeightStore.from_environment()
    ict = store.locate("ict-face-model")
    mesh, landmarks = load_backend(name).mean_surface()
    pairs, report = register(load_ict(ict), load_ict_landmarks(ict), mesh, landmarks, check=check)
    path = write_derived(
        store, backend.correspondence, pairs.content(), made_from={"ict-face-model": file_sha256(ict)}
    )
    return str(path), report


def _files() -> StoredFiles:
    return StoredFiles(WeightStore.from_environment())
