"""Depth against depth on real people: one frame against one, three against three.

    python benchmarks/kinect_depth.py [FOLDER] [further options of `recon evaluate kinect2`]

FOLDER holds s00, s01, … (recon_service/evaluation/kinect2.py); without it, the folder of cases beside the
mirror of model files. A short name for one run of the harness: AUC and equal error rate of the plain
cosine, the log-likelihood ratio, and the scores learned on the other people.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from recon_service.cli.main import main

ROWS = "depth1-depth1,depth3-depth3"


def arguments(given: list[str]) -> list[str] | None:
    """The command line of the harness, or None without recordings."""
    if given and not given[0].startswith("-"):
        folder, rest = Path(given[0]), given[1:]
    else:
        mirror = os.environ.get("RECON_WEIGHTS_MIRROR", "")
        folder, rest = Path(mirror).parent / "cases" / "kinect2_dev", given
        if not mirror or not folder.is_dir():
            return None
    return ["evaluate", "kinect2", "--root", str(folder), "--rows", ROWS, "--cross-validate", *rest]


if __name__ == "__main__":
    command = arguments(sys.argv[1:])
    if command is None:
        print("skipped: no recordings here; name their folder (see --help in recon evaluate kinect2)")
    else:
        sys.argv[1:] = command
        main()
