"""What the service is made of is written down, and nothing tracked looks like a real secret."""

from __future__ import annotations

import base64
import importlib.util
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
    locks = ("locks/base.txt", "locks/cpu.txt", "web/package-lock.json")
    first = sbom(*locks)
    assert first == sbom(*locks), "the same tree gives the same bill"
    components = first["components"]
    assert isinstance(components, list)
    locked = {
        re.sub(r"[-_.]+", "-", found[1]).lower()
        for name in ("base", "cpu")
        for found in re.finditer(r"(?m)^([A-Za-z0-9._-]+)==", (ROOT / f"locks/{name}.txt").read_text())
    }
    libraries = [c for c in components if c.get("purl", "").startswith("pkg:pypi/")]
    assert {c["name"] for c in libraries} == locked
    assert all(c["properties"] for c in libraries), "each with the digests of its files"
    tools = {c["purl"]: c for c in components if c.get("purl", "").startswith("pkg:npm/")}
    lock = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    assert len(tools) == len(lock) - 1, "all but the pages themselves"
    esbuild = tools[f"pkg:npm/esbuild@{lock['node_modules/esbuild']['version']}"]
    assert (esbuild["scope"], esbuild["licenses"]) == ("excluded", [{"expression": "MIT"}])
    (digest,) = esbuild["hashes"]
    stated = lock["node_modules/esbuild"]["integrity"].removeprefix("sha512-")
    assert (digest["alg"], bytes.fromhex(digest["content"])) == ("SHA-512", base64.b64decode(stated))
    assert any(url.startswith("pkg:npm/%40esbuild/linux-x64@") for url in tools)
    manifest = tomllib.loads((ROOT / "weights/manifest.toml").read_text())["file"]
    models = {c["name"]: c for c in components if c["type"] == "machine-learning-model"}
    assert set(models) == {e["name"] for e in manifest if e.get("sha256")}
    assert all(c["licenses"] for c in models.values())
    references = [c["bom-ref"] for c in components]
    assert len(set(references)) == len(references)


def test_what_npm_knows_is_told_and_no_answer_is_no_all_clear(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts/audit.py")
    assert spec is not None
    assert spec.loader is not None
    audit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(audit)
    packages = {
        "": {},
        "node_modules/esbuild": {"version": "0.1.0"},
        "node_modules/long": {"version": "5.0.0"},
    }
    known = {
        "esbuild": {
            "via": [{"url": "https://advisories.example/GHSA-1"}, "long"],
            "fixAvailable": {"name": "esbuild", "version": "0.2.0"},
        }
    }
    report = audit.npm_answer(packages, known)
    monkeypatch.setattr(audit, "ask_npm", lambda lock: report)
    assert audit.main(["web/package-lock.json"]) == 1
    told = capsys.readouterr().out
    assert "esbuild 0.1.0: https://advisories.example/GHSA-1, long; mended in ['0.2.0']" in told
    monkeypatch.setattr(audit, "ask_npm", lambda lock: audit.npm_answer(packages, {}))
    assert (audit.main(["x.json"]), "2 packages, none known" in capsys.readouterr().out) == (0, True)
    monkeypatch.setattr(audit, "ask_npm", lambda lock: None)
    assert (audit.main(["x.json"]), "NOT AUDITED" in capsys.readouterr().out) == (0, True)
    monkeypatch.setenv("AUDIT_REQUIRED", "yes")
    assert audit.main(["x.json"]) == 2


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
