"""`python -m recon_service` is the command `recon`."""

from __future__ import annotations

from recon_service.cli.main import main

if __name__ == "__main__":
    main()
