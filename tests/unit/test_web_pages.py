from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recon_service.api.problems import add_problem_handlers
from recon_service.web import pages


@pytest.fixture(scope="module")
def sizes() -> dict[str, dict[str, int]]:
    written = pages.STATIC / "build.json"
    if not written.is_file():
        pytest.skip("the pages were not built: make web")
    found: dict[str, dict[str, int]] = json.loads(written.read_text())["sizes"]
    return found


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.include_router(pages.router)
    app.state.endpoints = []
    add_problem_handlers(app)
    return TestClient(app)


def test_a_page_allows_no_inline_code_and_nobody_else(
    client: TestClient, sizes: dict[str, dict[str, int]]
) -> None:
    for path in (f"/enroll/cap_{'0' * 32}", "/viewer"):
        answer = client.get(path)
        assert answer.status_code == 200
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert "unsafe-inline" not in str(policy)
        assert "'unsafe-eval'" not in str(policy)
        assert not any("://" in value or "*" in value for value in policy.values())
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    assert "camera=(self)" in client.get(f"/enroll/cap_{'0' * 32}").headers["permissions-policy"]
    assert "camera=()" in client.get("/viewer").headers["permissions-policy"]


def test_assets_come_compressed_to_those_who_take_it_and_nothing_else_comes(
    client: TestClient, sizes: dict[str, dict[str, int]]
) -> None:
    name = next(p.name for p in (pages.STATIC / "assets").glob("capture-*.js"))
    plain = client.get(f"/web/assets/{name}", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/web/assets/{name}", headers={"Accept-Encoding": "gzip"})
    assert plain.content == packed.content
    assert int(packed.headers["content-length"]) < 0.5 * int(plain.headers["content-length"])
    assert "immutable" in plain.headers["cache-control"]
    for wrong in ("..%2Fpages.py", "../pages.py", "build.json", "x.js", ".hidden.js", f"{name}.br", "a.py"):
        assert client.get(f"/web/assets/{wrong}").status_code == 404, wrong
    for wrong in ("/enroll/x", f"/enroll/cap_{'g' * 32}", "/web/models/other.tflite"):
        assert client.get(wrong).status_code == 404


def test_missing_pages_are_a_clear_problem(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    answer = client.get("/viewer")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pages-not-built")
    assert "make web" in answer.json()["next_step"]


def test_the_scripts_of_the_capture_page_keep_to_their_budget(sizes: dict[str, dict[str, int]]) -> None:
    parts = ("capture.js", "face-worker.js", "kernel.wasm")
    assert sum(sizes[part]["bytes"] for part in parts) <= 250_000
    assert sizes["capture.css"]["bytes"] <= 40_000


def test_pages_hold_no_script_no_style_and_no_foreign_address(sizes: dict[str, dict[str, int]]) -> None:
    for path in pages.STATIC.glob("*.html"):
        text = path.read_text()
        assert "<script>" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert "{{" not in text
        assert "://" not in text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en-US,en;q=0.9,ko;q=0.5", "en"),
        ("de,ko;q=0.3", "ko"),
        ("fr", "en"),
        ("", "en"),
        ("ko;q=0", "en"),
        ("ko;q=x,en", "en"),
    ],
)
def test_the_language_is_the_best_of_those_that_the_browser_asks_for(header: str, language: str) -> None:
    assert pages.language_of(header) == language
