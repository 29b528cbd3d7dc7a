"""Draws the pictures of docs/reconstruction.md: .venv/bin/python docs/pictures/make_backends.py [BACKEND]

Enrolls the two free portraits with the backend, by the service's own code, and lays the backend's mesh and
the fitted canonical face over them; and draws the registration. Needs the dense canonical model and the
backend's files (`recon backends`).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image as PillowImage

from recon_service.application.computing.enroll import enroll
from recon_service.backends import Backends, register_backend
from recon_service.bootstrap import build_pipeline
from recon_service.domain.errors import ReconError
from recon_service.rendering.fit_files import fit_files
from recon_service.rendering.reconstruction import reconstruction_png
from recon_service.rendering.registration import registration_png
from recon_service.settings import Settings
from recon_service.simulation.population.portraits import free_portraits

HERE = Path(__file__).parent
TALL = 300
LANCZOS = PillowImage.Resampling.LANCZOS


def main(backend: str) -> None:
    """Write registration_BACKEND.jpg and BACKEND.jpg beside this file."""
    path, report = register_backend(backend)
    print(path, f"median {report.median:.2f} mm, 95 % {report.p95:.2f} mm, left out {report.left_out} mm")
    sheet = PillowImage.open(io.BytesIO(registration_png(report))).convert("RGB")
    sheet = sheet.resize((700, round(sheet.height * 700 / sheet.width)), LANCZOS)
    sheet.save(HERE / f"registration_{backend}.jpg", quality=85, optimize=True)

    pipeline = build_pipeline(Settings.from_environment(model="dense"))
    model = Backends()(backend)
    rows = []
    for name, portrait in free_portraits().items():
        result = enroll([portrait], pipeline, backend=backend)
        (selfie,) = result.accepted
        assert selfie.image is not None
        assert result.surfaces == 1, "the portrait is enrolled with the backend"
        outcome = model.reconstruct([(selfie.image, selfie.face)])[0]
        assert not isinstance(outcome, ReconError)
        files = dict(fit_files(result, [name], pipeline.model))
        parts = [reconstruction_png(selfie.image, outcome[0]), files[f"{name}-overlay.png"]]
        pictures = [PillowImage.open(io.BytesIO(part)).convert("RGB") for part in parts]
        pictures = [p.resize((round(p.width * TALL / p.height), TALL), LANCZOS) for p in pictures]
        row = PillowImage.new("RGB", (sum(p.width for p in pictures) + 6, TALL), (16, 16, 16))
        row.paste(pictures[0], (0, 0))
        row.paste(pictures[1], (pictures[0].width + 6, 0))
        rows.append(row)
    sheet = PillowImage.new(
        "RGB", (max(r.width for r in rows), sum(r.height + 6 for r in rows)), (16, 16, 16)
    )
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * (TALL + 6)))
    sheet.save(HERE / f"{backend}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["tddfa_v2"]))
