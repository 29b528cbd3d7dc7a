"""What is known about each camera, from ``parameters.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from recon_service.domain.errors import InvalidValue

GENERIC: Final = "generic"
PRINCIPLES: Final = ("stereo", "structured-light", "time-of-flight", "unknown")


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """Noise and range of one camera model.

    name: key of the file, and what frames are called. principle: one of PRINCIPLES. baseline_mm,
    disparity_sd: of triangulating cameras, mm and pixels. sd_at_500_mm: of one pixel over time on skin at
    500 mm, mm. near_mm, far_mm: where the camera measures. measured: whether somebody measured these, or
    they come from the maker's sheet.
    """

    name: str
    title: str
    principle: str
    sd_at_500_mm: float
    near_mm: float
    far_mm: float
    baseline_mm: float = 0.0
    disparity_sd: float = 0.0
    measured: bool = False

    def __post_init__(self) -> None:
        if self.principle not in PRINCIPLES:
            raise InvalidValue(f"{self.principle!r} is no principle of depth measurement")
        if not 0 < self.near_mm < self.far_mm or not self.sd_at_500_mm > 0:
            raise InvalidValue(f"the range or the noise of {self.name} cannot be")

    def sd_mm(self, distance_mm: float, *, focal_px: float) -> float:
        """Standard deviation of a pixel on skin that faces the camera, mm.

        Triangulation: z² s / (f b). Time of flight: proportional to the distance. Otherwise with the square
        of the distance from the value at 500 mm.
        """
        if self.baseline_mm and self.disparity_sd:
            return distance_mm**2 * self.disparity_sd / (focal_px * self.baseline_mm)
        share = distance_mm / 500.0
        return self.sd_at_500_mm * (share if self.principle == "time-of-flight" else share**2)


@cache
def known_cameras() -> dict[str, CameraParameters]:
    """All of the file, by name."""
    text = files(__package__).joinpath("parameters.toml").read_text(encoding="utf-8")
    listed: dict[str, dict[str, Any]] = tomllib.loads(text)["camera"]
    return {name: CameraParameters(name=name, **values) for name, values in listed.items()}


def parameters_of(name: str) -> CameraParameters:
    """Of this camera, or the generic ones under its name."""
    return known_cameras().get(name) or known_cameras()[GENERIC]


def name_of_product(product: str) -> str:
    """The name in the file for what a device calls itself ("Intel RealSense D435I"), or the generic one."""
    said = "".join(c for c in product.lower() if c.isalnum())
    found = [n for n in known_cameras() if said and _model(n) in said]
    return max(found, key=len, default=GENERIC)


def _model(name: str) -> str:
    """``d435i`` of ``realsense-d435i``."""
    return "".join(c for c in name.split("-", 1)[-1] if c.isalnum())
