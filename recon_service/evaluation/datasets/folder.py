"""A folder of your own recordings as a dataset; the convention is told in docs/evaluation.md.

ROOT/dataset.toml
ROOT/SUBJECT/enroll/NAME.jpg                       (or .jpeg .png .webp .heic)
ROOT/SUBJECT/probe/VISIT/intrinsics.json
ROOT/SUBJECT/probe/VISIT/NN_depth.png              (or .npy)
ROOT/SUBJECT/probe/VISIT/NN_image.png              (or .jpg; optional, aligned with the depth map)
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.dataset import Dataset, Item, Medium
from recon_service.imaging.limits import ImageLimits
from recon_service.quality.limits import QualityLimits

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif")
DEPTH_SUFFIXES = ("_depth.png", "_depth.npy")
ENROLL = "enroll"
KEYS = {"name", "sensor", "notes", "quality", "images"}

Limits = TypeVar("Limits", QualityLimits, ImageLimits)


@dataclass(frozen=True, slots=True)
class FolderPerson:
    """One subject's folder."""

    folder: Path
    sensor: str

    @property
    def name(self) -> str:
        return self.folder.name

    def items(self) -> Sequence[Item]:
        pictures = [
            # Pictures of one session: any may be enrolled together, none compared with itself.
            Item(Medium.IMAGE, path.name, ENROLL, f"{ENROLL}/{path.name}", _pose(path))
            for path in sorted((self.folder / ENROLL).glob("*"))
            if path.suffix.lower() in PICTURES
        ]
        frames = [
            Item(Medium.DEPTH, f"{visit.name}/{path.name}", visit.name, f"probe/{visit.name}")
            for visit in sorted((self.folder / "probe").glob("*"))
            for path in sorted(visit.glob("*_depth.*"))
            if path.name.endswith(DEPTH_SUFFIXES)
        ]
        return [*pictures, *frames]

    def fingerprint(self, item: Item) -> str:
        digest = hashlib.sha256(f"{item.medium}/{self.sensor}".encode())
        if item.medium is Medium.IMAGE:
            digest.update((self.folder / ENROLL / item.label).read_bytes())
            return digest.hexdigest()
        depth = self.folder / "probe" / item.label
        for path in (depth, depth.with_name("intrinsics.json"), _aligned(depth)):
            digest.update(path.read_bytes() if path is not None and path.is_file() else b"-")
        return digest.hexdigest()

    def picture(self, item: Item) -> bytes:
        return (self.folder / ENROLL / item.label).read_bytes()

    def frame(self, item: Item) -> DepthFrame:
        """As the service decodes it. Raises DepthRejected, ImageRejected or InvalidValue."""
        depth = self.folder / "probe" / item.label
        image = _aligned(depth)
        visit = KioskVisit(
            (depth.read_bytes(),),
            images=(image.read_bytes(),) if image is not None else (),
            camera_name=self.sensor,
            **_intrinsics(depth.with_name("intrinsics.json")),
        )
        return decode_visit(visit, limits=ImageLimits())[0]


def folder(root: Path) -> Dataset:
    """The people below ``root``. Raises InvalidValue with what is wrong in ``dataset.toml``."""
    about = root / "dataset.toml"
    try:
        content = tomllib.loads(about.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InvalidValue(
            f"dataset.toml cannot be read: {fault}",
            next_step="A dataset.toml needs name and sensor; see docs/evaluation.md.",
        ) from fault
    if unknown := sorted(content.keys() - KEYS):
        raise InvalidValue(f"dataset.toml has unknown keys: {', '.join(unknown)}")
    sensor = str(content.get("sensor", "generic"))
    people = [
        FolderPerson(path, sensor)
        for path in sorted(root.iterdir())
        if (path / ENROLL).is_dir() or (path / "probe").is_dir()
    ]
    return Dataset(
        str(content.get("name", root.name)),
        sensor,
        people,
        tuple(str(note) for note in content.get("notes", ())),
        _limits(QualityLimits, content.get("quality", {})),
        _limits(ImageLimits, content.get("images", {})),
    )


def _limits(kind: type[Limits], given: dict[str, Any]) -> Limits:
    known = {field.name: field.type for field in fields(kind)}
    if unknown := sorted(given.keys() - known.keys()):
        raise InvalidValue(
            f"dataset.toml names limits that do not exist: {', '.join(unknown)}",
            next_step=f"The limits are {', '.join(known)}.",
        )
    return kind(**given)


def _pose(path: Path) -> str | None:
    """``left_02.jpg`` is a picture of the pose ``left``."""
    head, underscore, _ = path.stem.rpartition("_")
    return head if underscore else None


def _aligned(depth: Path) -> Path | None:
    stem = depth.name.rsplit("_depth", 1)[0]
    candidates = [depth.with_name(f"{stem}_image{suffix}") for suffix in PICTURES]
    return next((path for path in candidates if path.is_file()), None)


def _intrinsics(path: Path) -> dict[str, Any]:
    """The camera and the depth scale, from the file that ``recon verify --intrinsics`` takes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        k1, k2, p1, p2, k3 = content.get("distortion", (0.0,) * 5)
        camera = PinholeCamera(
            width=int(content["width"]),
            height=int(content["height"]),
            **{name: float(content[name]) for name in ("fx", "fy", "cx", "cy")},
            distortion=(float(k1), float(k2), float(p1), float(p2), float(k3)),
        )
        return {
            "camera": camera,
            "millimetres_per_unit": float(content.get("millimetres_per_unit", 1.0)),
        }
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as fault:
        raise InvalidValue(
            f"{path.parent.name}/{path.name} cannot be read: {type(fault).__name__}",
            next_step="It needs width, height, fx, fy, cx and cy of the depth map.",
        ) from fault
