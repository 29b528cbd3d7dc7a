"""The bill of materials as CycloneDX 1.6 JSON: every package that a lock file of Python or npm may install,
with the digests of its files, and every model file of the manifest, with its license. Nothing is fetched; the
same tree gives the same bytes.

    python scripts/sbom.py locks/base.txt web/package-lock.json > sbom.json
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(locks: list[Path]) -> dict[str, Any]:
    """The document."""
    of_npm = [lock for lock in locks if lock.suffix == ".json"]
    of_python = [lock for lock in locks if lock not in of_npm]
    components = packages(of_python) + npm_packages(of_npm) + models()
    content = json.dumps(components, sort_keys=True).encode()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # By the content: two equal bills have one number.
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "recon-service",
                "name": "recon-service",
                "version": version(),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }


def version() -> str:
    """Of this tree."""
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "recon_service/__init__.py").read_text())
    assert found
    return found[1]


def packages(locks: list[Path]) -> list[dict[str, Any]]:
    """The packages of lock files, each once per version, by name."""
    found: dict[str, dict[str, Any]] = {}
    for lock in locks:
        for block in re.split(r"\n(?=\S)", lock.read_text()):
            named = REQUIREMENT.match(block)
            if named is None:
                continue
            name = re.sub(r"[-_.]+", "-", named[1]).lower()
            url = f"pkg:pypi/{name}@{named[2]}"
            entry = found.setdefault(
                url,
                {
                    "type": "library",
                    "bom-ref": url,
                    "name": name,
                    "version": named[2],
                    "purl": url,
                    "licenses": license_of(name),
                    "properties": [],
                },
            )
            known = {p["value"] for p in entry["properties"]}
            entry["properties"] += [
                {"name": "recon:file:sha256", "value": digest}
                for digest in DIGEST.findall(block)
                if digest not in known
            ]
    return [found[url] for url in sorted(found)]


def npm_packages(locks: list[Path]) -> list[dict[str, Any]]:
    """Those of npm lock files. What only builds the pages is ``excluded`` from the delivered product."""
    found: dict[str, dict[str, Any]] = {}
    for lock in locks:
        for place, entry in json.loads(lock.read_text())["packages"].items():
            if not place:
                continue  # the project itself
            name = place.rpartition("node_modules/")[2]
            url = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
            digests = [part.partition("-") for part in entry["integrity"].split()]
            found[url] = {
                "type": "library",
                "bom-ref": url,
                "name": name,
                "version": entry["version"],
                "scope": "excluded" if entry.get("dev") else "required",
                "purl": url,
                "licenses": [{"expression": entry["license"]}] if entry.get("license") else [],
                "hashes": [
                    {"alg": kind.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}
                    for kind, _, digest in digests
                ],
            }
    return [found[url] for url in sorted(found)]


def license_of(name: str) -> list[dict[str, Any]]:
    """As the installed package states it; empty where it is not installed or states nothing short."""
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    text = (about.get("License") or "").strip()
    return [{"license": {"name": text}}] if 0 < len(text) <= 60 and "\n" not in text else []


def models() -> list[dict[str, Any]]:
    """The model files of the manifest: the digest is checked before each use of one."""
    manifest = tomllib.loads((ROOT / "weights/manifest.toml").read_text())
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"model:{entry['name']}",
            "name": entry["name"],
            "version": entry["sha256"][:12],
            "description": entry["title"],
            "hashes": [{"alg": "SHA-256", "content": entry["sha256"]}],
            "licenses": [{"license": {"name": entry["license"]}}],
            "properties": [
                {"name": "recon:commercial-use", "value": str(entry.get("commercial_use", False)).lower()}
            ],
        }
        for entry in sorted(manifest["file"], key=lambda e: e["name"])
        if entry.get("sha256")
    ]


if __name__ == "__main__":
    print(json.dumps(bill([Path(name) for name in sys.argv[1:]]), indent=1))
