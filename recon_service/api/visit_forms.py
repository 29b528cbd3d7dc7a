"""A visit to a depth camera as a form: depth maps, intrinsics, pictures. Several endpoints take one."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recon_service.api.examples import INTRINSICS
from recon_service.api.service import Service
from recon_service.api.uploads import Form, FormLimits
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.camera import MAX_FOCAL_PX, PinholeCamera
from recon_service.domain.errors import InvalidValue

_FILES: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": 10,
    "items": {"type": "string", "format": "binary"},
}
_DEPTH: Final = {
    **_FILES,
    "description": "Depth maps of one visit, in the order they were taken: 16-bit gray PNG, or NPY; 0 and "
    "NaN: nothing was measured.",
}
_IMAGE: Final = {
    **_FILES,
    "description": "One picture per depth map, aligned with it pixel by pixel: color, or gray PNG of 8 or 16 "
    "bits (infrared). Left out: depth alone.",
}
_FOCAL: Final[dict[str, Any]] = {"minimum": 1, "maximum": MAX_FOCAL_PX}


class Intrinsics(BaseModel):
    """What the kiosk says about its depth camera."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(ge=1, le=65535, description="Width of the depth map, pixels.")
    height: int = Field(ge=1, le=65535, description="Height of the depth map, pixels.")
    fx: float = Field(
        allow_inf_nan=False, json_schema_extra=_FOCAL, description="Focal length along x, pixels."
    )
    fy: float = Field(
        allow_inf_nan=False, json_schema_extra=_FOCAL, description="Focal length along y, pixels."
    )
    cx: float = Field(
        allow_inf_nan=False,
        description="Principal point along x, pixels: 0 is the center of the first column.",
    )
    cy: float = Field(
        allow_inf_nan=False, description="Principal point along y, pixels: 0 is the center of the first row."
    )
    distortion: list[float] = Field(
        default_factory=lambda: [0.0] * 5,
        max_length=5,
        description="k1, k2, p1, p2, k3 as OpenCV orders them, each -10 to 10; left out: 0.",
    )
    millimetres_per_unit: float = Field(
        1.0,
        allow_inf_nan=False,
        description="Millimeters that one unit of the depth map stands for; 1000 for meters.",
    )
    camera: str = Field(
        "generic",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name by which the calibration knows the camera; `generic`: a camera that nobody "
        "measured.",
    )

    def pinhole(self) -> PinholeCamera:
        """The camera. Raises InvalidValue for values that no camera has."""
        padded = (*self.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)
        k1, k2, p1, p2, k3 = padded[:5]
        return PinholeCamera(
            self.width, self.height, self.fx, self.fy, self.cx, self.cy, distortion=(k1, k2, p1, p2, k3)
        )


def visit_body(**more: dict[str, Any]) -> dict[str, Any]:
    """The request body in OpenAPI. more: text parts beside those of a visit."""
    schema = {
        "type": "object",
        "required": ["depth", "intrinsics"],
        "properties": {
            "depth": _DEPTH,
            # A part of a form that is an object goes as JSON (OpenAPI 3.1, multipart content).
            "intrinsics": {
                **Intrinsics.model_json_schema(),
                "description": "What the depth camera is like, as JSON.",
                "example": json.loads(INTRINSICS),
            },
            "image": _IMAGE,
            **more,
        },
        "additionalProperties": False,
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def visit_limits(service: Service, *more: str) -> FormLimits:
    """What may come. more: text parts beside those of a visit."""
    settings = service.settings
    return FormLimits(
        files={"depth": settings.max_depth_bytes, "image": settings.max_depth_bytes},
        fields=frozenset({"intrinsics", *more}),
        total_bytes=settings.max_request_bytes,
        seconds=settings.upload_seconds,
    )


def visit_of(form: Form, *, confirmed: bool = False) -> KioskVisit:
    """Raises InvalidValue: no intrinsics, or none that a camera has."""
    intrinsics = _intrinsics(form.require("intrinsics"))
    return KioskVisit(
        depth=tuple(form.files.get("depth", ())),
        images=tuple(form.files.get("image", ())),
        camera=intrinsics.pinhole(),
        millimetres_per_unit=intrinsics.millimetres_per_unit,
        camera_name=intrinsics.camera,
        confirmed=confirmed,
    )


def _intrinsics(text: str) -> Intrinsics:
    try:
        return Intrinsics.model_validate_json(text)
    except ValidationError as fault:
        problems = fault.errors(include_input=False, include_url=False)[:5]
        what = "; ".join(f"{'.'.join(str(p) for p in e['loc']) or 'JSON'}: {e['msg']}" for e in problems)
        raise InvalidValue(f"intrinsics: {what}", next_step=f"Example: {INTRINSICS}") from None
