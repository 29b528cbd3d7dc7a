from __future__ import annotations

import pytest

from recon_service.web import pages


@pytest.fixture(scope="module")
def sizes() -> dict[str, dict[str, int]]:
    if not (pages.STATIC / "build.json").is_file():
        pytest.skip("the pages were not built: make web")
    found: dict[str, dict[str, int]] = pages.build_info()["sizes"]  # type: ignore[assignment]
    return found


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
