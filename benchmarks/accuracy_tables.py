"""The error rates of docs/accuracy.md, all of them, as Markdown: one command.

    RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1 python benchmarks/accuracy_tables.py --root FOLDER [--only kinect2] \
        [--jobs 2] [--cache FOLDER]

Observations are kept as in `recon evaluate`; an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SELFIES = "landmarks5-depth3,image3-depth3,image5-depth3,depth3-depth3"
PLACES = {
    "kinect2": "landmarks5-depth3,image1-depth3,image3-depth3,image5-depth3,depth1-depth1,depth3-depth3,"
    "fused5-1,image5-image1",
    "structured-light": SELFIES,
    "stereo": SELFIES,
    "degraded": "landmarks5-depth3,image5-depth3",
}
SHOWN = ("learned-llr", "whitened-cosine", "appearance-llr", "fused-llr")


def arguments_of(place: str, root: Path) -> list[str]:
    """Of `recon evaluate`."""
    if place == "kinect2":
        return ["kinect2", "--root", str(root)]
    words = ["synthetic", "--population", "1"]
    if place == "degraded":
        return [*words, "--sensor", "structured-light", "--subjects", "40", "--degraded"]
    return [*words, "--sensor", place, "--subjects", "100"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="Kinect v2 head crops")
    parser.add_argument("--only", choices=sorted(PLACES), action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    for place in given.only or PLACES:
        words = [*arguments_of(place, given.root), "--rows", PLACES[place], "--model", "dense"]
        words += ["--cross-validate", "--json", "--jobs", str(given.jobs)]
        words += ["--cache", str(given.cache)] if given.cache else []
        run = subprocess.run(
            [sys.executable, "-m", "recon_service", "evaluate", *words], stdout=subprocess.PIPE, check=True
        )
        result = json.loads(run.stdout)
        print(f"\n{result['dataset']}, {result['subjects']} people, {result['released_calibration']}\n")
        print("| row | score | AUC | EER % | 95 % | FNMR % at FMR 1 % | Cllr (min) | innovation |")
        print("|---|---|---|---|---|---|---|---|")
        for row in result["rows"]:
            print("\n".join(lines(row)))


def lines(row: dict[str, Any]) -> Iterator[str]:
    """One for each learned score of a row."""
    counts = f"{row['counts']['genuine']:,} genuine, {row['counts']['impostor']:,} impostor"
    for score in row["scores"]:
        if score["calibration"] != "cross-validated" or score["name"] not in SHOWN or score["eer"] is None:
            continue
        ends = score["intervals"]["eer"]
        missed = score["fnmr_at_fmr_1e-2"]
        innovation = row["normalized_innovation"] if score["name"] == "learned-llr" else None
        low, high = innovation["interval"] if innovation else (0.0, 0.0)
        cells = [
            f"{row['name']} ({counts})",
            f"`{score['name']}`",
            f"{score['auc']:.4f}",
            f"{100 * score['eer']:.1f}",
            "" if ends is None else f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}",
            "" if missed is None else f"{100 * missed:.1f}",
            "" if score["cllr"] is None else f"{score['cllr']:.2f} ({score['min_cllr']:.2f})",
            "" if innovation is None else f"{innovation['mean']:.2f} ({low:.2f}–{high:.2f})",
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
