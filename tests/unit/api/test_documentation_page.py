"""The page of the documentation: an installed package has it, and it loads and runs its own files alone."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from fastapi.testclient import TestClient

from recon_service.api.documentation.page import FOLDER, assets

ROOT = Path(__file__).resolve().parents[3]


def test_no_inline_code_and_nobody_else(client: TestClient) -> None:
    answer = client.get("/docs")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=|https?:", answer.text)
    assert client.get("/redoc").status_code == 404


def test_all_that_it_names_is_there_and_browsers_keep_it(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(/docs/[^"]+)"', client.get("/docs").text)
    assert {address.rpartition("/")[2] for address in named} == set(assets())
    for address in named:
        answer = client.get(address)
        assert answer.content == assets()[address.rpartition("/")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        kind = "text/javascript" if address.endswith(".js") else "text/css"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
    of = named[0].split("/")[2]
    for wrong in (f"{of}/page.html", f"{of}/redoc.standalone.js", f"{of}/..%2Fpage.py", "0/start.js"):
        assert client.get(f"/docs/{wrong}").status_code == 404, wrong


def test_keys_are_not_kept_and_nobody_is_asked_to_validate() -> None:
    script = assets()["start.js"].decode()
    for said in ("persistAuthorization: false", "validatorUrl: null", "queryConfigEnabled: false"):
        assert said in script
    assert "://" not in script


def test_an_installed_package_has_the_page_and_asks_for_swagger_ui(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        asked = packed.read(metadata).decode()
    for file in FOLDER.iterdir():
        assert not file.is_file() or file.relative_to(ROOT).as_posix() in names
    assert "Requires-Dist: fastapi-offline" in asked
