"""``python -m worker.ready``: are the networks of this machine's worker loaded? For the check of a container.

Prints ``recon_models_loaded`` and how many; the exit status is 1 unless it is all of them. With
RECON_NETWORK_SOCKET unset there is no such process to ask, and nothing to say.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from recon_service.domain.errors import ReconError
from recon_service.reconstruction.elsewhere import NetworksElsewhere


def main() -> None:
    """Ask, print, exit."""
    socket = os.environ.get("RECON_NETWORK_SOCKET", "")
    if not socket:
        print("recon_models_loaded: no process of its own (RECON_NETWORK_SOCKET is not set)")
        return
    try:
        standing = NetworksElsewhere(Path(socket)).standing()
    except ReconError as fault:
        print(f"recon_models_loaded 0 ({fault.code})")
        sys.exit(1)
    print(f"recon_models_loaded {len(standing.loaded)} of {len(standing.expected)} on {standing.device}")
    sys.exit(0 if standing.ready else 1)


if __name__ == "__main__":
    main()
