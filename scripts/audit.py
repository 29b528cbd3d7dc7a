"""Ask an advisory service about every locked package. Exit status: 0 none is known to be vulnerable, or
nobody could be asked (said clearly, and 2 with AUDIT_REQUIRED=yes); 1 some are.

    python scripts/audit.py locks/base.txt
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def main(locks: list[str]) -> int:
    """The exit status."""
    worst = 0
    for lock in locks:
        report = ask(lock)
        answered = [d for d in report if "skip_reason" not in d] if report is not None else []
        if report is None or len(answered) < len(report):
            known = f"for {len(answered)} of {len(report)} packages" if report is not None else "at all"
            print(f"{lock}: NOT AUDITED: the advisory service answered {known}; ask again with a network")
            worst = max(worst, 2 if os.environ.get("AUDIT_REQUIRED") == "yes" else 0)
        vulnerable = [d for d in answered if d["vulns"]]
        for package in vulnerable:
            names = ", ".join(v["id"] for v in package["vulns"])
            mended = sorted({f for v in package["vulns"] for f in v["fix_versions"]})
            print(f"{lock}: {package['name']} {package['version']}: {names}; mended in {mended or 'none'}")
        if vulnerable:
            return 1
        if answered:
            print(f"{lock}: {len(answered)} packages, none known to be vulnerable")
    return worst


def ask(lock: str) -> list[dict[str, Any]] | None:
    """Name, version and vulnerabilities of each package; None: the service did not answer."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    command += ["--disable-pip", "--no-deps", "--require-hashes", "-r", lock]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        print(done.stderr.strip().splitlines()[-1:] or "no answer", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
