"""``python -m tests.browser.make_console_pictures``: the pictures of the console in docs/pictures/console.

Most are of scripted people, hundreds of them in a moment. That of a comparison is of a real service that has
enrolled two portraits, verified both, derived them anew, and tried both ways on simulated people: its figures
are of a demonstration, not of the accuracy of the service. It takes two or three minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from recon_service.application.reenrolling.batches import list_batches
from tests.browser.conftest import executable
from tests.browser.console_people import busy_service
from tests.integration.captures import depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.integration.test_batches import wait

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures" / "console"


PEOPLE: Final = 8
"""Simulated ones of the evaluation: enough to show what the page tells."""
EVALUATED_WITHIN_MS: Final = 600_000


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(executable()), args=["--no-sandbox"])
        with busy_service(Path(folder) / "busy") as service:
            newest = list_batches(on=service.stores)[0].batch.batch_id
            shots = {"overview": "", "batch": f"/batches/{newest}", "subject": "/subjects/user-8c41"}
            for scheme in ("light", "dark"):
                page = _signed_in(browser, service.url, service.key, scheme)
                for name, address in shots.items():
                    page.goto(f"{service.url}/console{address}")
                    _shoot(page, f"{name}-{scheme}")
                page.context.close()
        with _judged(Path(folder) / "judged") as (server, batch):
            page = _signed_in(browser, server.url, server.key, "light")
            page.goto(f"{server.url}/console{batch}/comparison")
            page.get_by_role("button", name="Try both ways").click()
            page.locator("#evaluations table").wait_for(timeout=EVALUATED_WITHIN_MS)
            # As one finds it who comes later.
            page.goto(f"{server.url}/console{batch}/comparison")
            _shoot(page, "comparison-light", whole=True)
        browser.close()


def _signed_in(browser: Browser, url: str, key: str, scheme: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme).new_page()
    page.goto(f"{url}/console/sign-in")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    return page


@contextmanager
def _judged(state: Path) -> Iterator[tuple[Server, str]]:
    """A real service, and the path of a batch that is ready."""
    settings = {
        "RECON_MODEL": "auto",
        "RECON_KIOSK_SESSIONS": "optional",
        "RECON_RECENT_REFUSALS": "true",
        "RECON_VERIFICATION_SECONDS": "60",
        "RECON_EVALUATION_PEOPLE": str(PEOPLE),
    }
    server = Server(state, settings).start()
    try:
        with server.client() as client:
            for subject, portrait in (("ada", "astronaut"), ("bea", "hopper")):
                enroll(client, subject, portrait_jpeg(portrait), keep_evidence="true", keep_probes="true")
                for yaw in (0.0, 5.0):
                    verify(client, subject, png16(depth_of(client, subject, yaw=yaw))).raise_for_status()
            wish = {"selection": {"all": True}, "target": {"materials": ["evidence"]}}
            address = client.post("/v1/batches", json=wish).raise_for_status().headers["location"]
            wait(client, address, "ready")
        yield server, address.removeprefix("/v1")
    finally:
        server.stop()


def _shoot(page: Page, name: str, *, whole: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(FOLDER / f"{name}.png"), full_page=whole)
    print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
