"""Look for secrets in every tracked text file, with detect-secrets. What is known to be none (test passwords,
examples, digests) is in `.secrets.known`, by file, kind and digest; lines may move.

    python scripts/find_secrets.py             exit status 1 when something new is found
    python scripts/find_secrets.py --accept    after looking at each: it is known from now on
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ROOT / ".secrets.known"
# Digests of packages and pictures: thousands of random-looking strings that are none.
SKIPPED = ("locks/", "web/package-lock.json", "docs/pictures/", "tests/golden/", ".secrets.known")
BINARY = (".png", ".jpg", ".npz", ".npy", ".svg", ".ipynb", ".glb", ".onnx", ".wasm", ".heic", ".gz")
# In the manifest and in examples digests are meant; elsewhere a random-looking string is told.
ENTROPY = ("Hex High Entropy String", "Base64 High Entropy String")
DIGESTS_EXPECTED = ("weights/manifest.toml",)


def find() -> dict[str, str]:
    """``file kind digest`` of each finding, and the line where it is."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    with default_settings():
        for name in names.splitlines():
            if name.startswith(SKIPPED) or name.endswith(BINARY) or not (ROOT / name).is_file():
                continue
            secrets = SecretsCollection(root=str(ROOT))
            secrets.scan_file(name)
            for file, secret in secrets:
                if not (file in DIGESTS_EXPECTED and secret.type in ENTROPY):
                    found[f"{file} | {secret.type} | {secret.secret_hash}"] = f"{file}:{secret.line_number}"
    return found


def main() -> int:
    """The exit status."""
    found = find()
    if "--accept" in sys.argv:
        KNOWN.write_text("".join(f"{line}\n" for line in sorted(found)))
        print(f"{len(found)} findings are known from now on")
        return 0
    known = set(KNOWN.read_text().splitlines()) if KNOWN.is_file() else set()
    new = {line: place for line, place in found.items() if line not in known}
    for line, place in sorted(new.items()):
        print(f"{place}: {line.split(' | ')[1]}")
    print(f"{len(found)} random-looking or secret-like strings, {len(new)} of them not known to be harmless")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
