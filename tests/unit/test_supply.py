"""What the service is made of is written down, and nothing tracked looks like a real secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "API key of ours": r"recon_[0-9a-f]{12}_[0-9a-f]{64}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "access key of a cloud": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "token of a forge": r"\b(ghp|gho|ghs|github_pat|glpat)[-_][A-Za-z0-9_]{30,}",
    "token of a registry": r"\b(pypi|npm)[-_]A?g?[A-Za-z0-9_-]{40,}",
    "webhook of a chat": r"hooks\.slack\.com/services/T[A-Z0-9]+/B",
}


def sbom(*locks: str) -> dict[str, object]:
    command = [sys.executable, "scripts/sbom.py", *locks]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_bill_of_materials_names_every_locked_package_and_model_file() -> None:
    first = sbom("locks/base.txt", "locks/cpu.txt")
    assert first == sbom("locks/base.txt", "locks/cpu.txt"), "the same tree gives the same bill"
    components = first["components"]
    assert isinstance(components, list)
    locked = {
        re.sub(r"[-_.]+", "-", found[1]).lower()
        for name in ("base", "cpu")
        for found in re.finditer(r"(?m)^([A-Za-z0-9._-]+)==", (ROOT / f"locks/{name}.txt").read_text())
    }
    libraries = [c for c in components if c["type"] == "library"]
    assert {c["name"] for c in libraries} == locked
    assert all(c["properties"] for c in libraries), "each with the digests of its files"
    manifest = tomllib.loads((ROOT / "weights/manifest.toml").read_text())["file"]
    models = {c["name"]: c for c in components if c["type"] == "machine-learning-model"}
    assert set(models) == {e["name"] for e in manifest if e.get("sha256")}
    assert all(c["licenses"] for c in models.values())
    references = [c["bom-ref"] for c in components]
    assert len(set(references)) == len(references)


def test_no_tracked_file_holds_a_real_secret() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout: which files are tracked cannot be told")
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.is_file() or path.stat().st_size > 3_000_000:
            continue
        text = path.read_text("utf-8", "replace")
        found += [f"{name}: {kind}" for kind, pattern in SECRETS.items() if re.search(pattern, text)]
    assert found == []
