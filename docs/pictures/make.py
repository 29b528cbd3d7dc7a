"""Draws the pictures of the README from the two free portraits: .venv/bin/python docs/pictures/make.py"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as PillowImage

from recon_service.application.computing.enroll import enroll
from recon_service.bootstrap import build_pipeline
from recon_service.rendering.fit_files import fit_files
from recon_service.settings import Settings
from recon_service.simulation.population.portraits import free_portraits

HERE = Path(__file__).parent
WIDTH = 1100
LANCZOS = PillowImage.Resampling.LANCZOS


def main() -> None:
    """Write fits.jpg beside this file."""
    pipeline = build_pipeline(Settings.from_environment())
    rows = []
    for name, portrait in free_portraits().items():
        result = enroll([portrait], pipeline)
        files = dict(fit_files(result, [name], pipeline.model))
        parts = [PillowImage.open(io.BytesIO(files[f])) for f in (f"{name}-overlay.png", "face-views.png")]
        tall = 360
        parts = [p.resize((round(p.width * tall / p.height), tall), LANCZOS) for p in parts]
        row = PillowImage.new("RGB", (sum(p.width for p in parts) + 6, tall), (16, 16, 16))
        row.paste(parts[0], (0, 0))
        row.paste(parts[1], (parts[0].width + 6, 0))
        rows.append(row.resize((WIDTH, round(row.height * WIDTH / row.width)), LANCZOS))
    sheet = PillowImage.new("RGB", (WIDTH, sum(r.height for r in rows) + 6), (16, 16, 16))
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + 6
    sheet.save(HERE / "fits.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
