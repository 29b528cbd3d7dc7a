"""A real Chromium with a film for a camera, before a real service with its worker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recon_service.web.pages import STATIC
from tests.browser import camera
from tests.integration.running import Server

UNPACKED = Path(__file__).parent / ".chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> Path:
    """The browser that is here: RECON_CHROMIUM, one on the path, or the unpacked one."""
    if named := os.environ.get("RECON_CHROMIUM"):
        return Path(named)
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    if (UNPACKED / "chromium").is_file():
        return UNPACKED / "chromium"
    pytest.skip("there is no Chromium here (scripts/build_web.sh browser)")


@pytest.fixture(scope="session")
def chromium() -> Path:
    if not (STATIC / "build.json").is_file():
        pytest.skip("the pages were not built: make web")
    return executable()


# Of a module, not of the session: while it runs, an event loop does too, and other tests want their own.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with module.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    """For pages that need no camera and no build."""
    made = playwright.chromium.launch(executable_path=str(executable()), args=["--no-sandbox"])
    yield made
    made.close()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {
        "obedient": camera.film(folder / "obedient.y4m", camera.obedient()),
        "troubled": camera.film(folder / "troubled.y4m", camera.troubled()),
    }


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("service") / "state",
        {"RECON_CAPTURE_RETURN_URLS": "https://app.example/"},
    ).start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def launched(playwright: Any, chromium: Path, film: Path, *, allow: bool = True) -> Iterator[Any]:
    """A browser whose camera plays ``film``. allow: it may be used without a question."""
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    flags += [
        "--enable-unsafe-swiftshader",
        "--no-sandbox",
        *(["--use-fake-ui-for-media-stream"] if allow else []),
    ]
    library = f"{UNPACKED / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    environment = {**os.environ, **({"LD_LIBRARY_PATH": library} if chromium.parent == UNPACKED else {})}
    browser = playwright.chromium.launch(
        executable_path=str(chromium), headless=True, args=flags, env=environment
    )
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="module")
def obedient(playwright: Any, chromium: Path, films: dict[str, Path]) -> Iterator[Any]:
    with launched(playwright, chromium, films["obedient"]) as browser:
        yield browser


@pytest.fixture(scope="module")
def troubled(playwright: Any, chromium: Path, films: dict[str, Path]) -> Iterator[Any]:
    with launched(playwright, chromium, films["troubled"]) as browser:
        yield browser


@pytest.fixture
def opened(server: Server) -> Iterator[Callable[..., Any]]:
    """Opens the capture page of a new session in a browser; what it complained of must be nothing."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(
        browser: Any,
        subject: str,
        *,
        query: str = "",
        wish: dict[str, Any] | None = None,
        before: str = "",
        **context: Any,
    ) -> Any:
        """before: a script that runs before those of the page."""
        with server.client() as client:
            answer = client.post(
                "/v1/capture-sessions",
                json={"subject_id": subject, "consent_id": "consent-1", **(wish or {})},
            )
        assert answer.status_code == 201, answer.text
        path, _, secret = answer.json()["url"].partition("#")
        options = {"viewport": {"width": 390, "height": 844}, "locale": "en-US", **context}
        made = browser.new_context(**options)
        contexts.append(made)
        if before:
            made.add_init_script(before)
        page = made.new_page()
        page.set_default_timeout(40_000)
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on("console", lambda m: complaints.append(m.text) if "Content Security" in m.text else None)
        page.goto(f"{server.url}{path}{query}#{secret}")
        page.wait_for_selector("body[data-ready]")
        page.secret = secret
        return page

    yield open_page
    for made in contexts:
        made.close()
    assert complaints == []
