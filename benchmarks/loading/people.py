"""Simulated people with selfies and visits, kept as files for the processes that send them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 20261121


def make_people(folder: Path, count: int, *, model: str) -> None:
    """``PERSON/selfie-N.jpg``, ``PERSON/visit.npz`` (frames, (F, H, W) uint16 mm) and ``intrinsics.json``."""
    from recon_service.assembly import ModelChoice, build_pipeline
    from recon_service.demo.simulated import simulated_person, texture_of
    from recon_service.simulation import KIOSK_CAMERA
    from tests.integration.running import portrait_jpeg

    pipeline, rng = build_pipeline(ModelChoice(model)), np.random.default_rng(SEED)
    textures = [texture_of(portrait_jpeg(name), pipeline) for name in ("astronaut", "grace_hopper")]
    for number in range(count):
        person = simulated_person(f"person{number}", textures[number % 2], pipeline, rng)
        place = folder / person.name
        place.mkdir(parents=True)
        for n, selfie in enumerate(person.selfies):
            (place / f"selfie-{n}.jpg").write_bytes(selfie)
        frames = np.stack([np.nan_to_num(f.depth) for f in person.visits[0]])
        np.savez_compressed(place / "visit.npz", frames=np.round(frames).astype(np.uint16))
    names = ("width", "height", "fx", "fy", "cx", "cy")
    (folder / "intrinsics.json").write_text(json.dumps({n: getattr(KIOSK_CAMERA, n) for n in names}))


def fresh_png(frame: np.ndarray, rng: np.random.Generator) -> bytes:
    """A depth frame as 16-bit PNG that was never sent before: the service refuses one that was. What differs
    is far away, in a corner.
    """
    frame = frame.copy()
    frame[0, :8] = rng.integers(9000, 9999, 8)
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=1)
    return file.getvalue()
