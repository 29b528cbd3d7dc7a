"""``python -m tests.browser.make_console_pictures``: the pictures of the console in docs/pictures/console."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from recon_service.application.reenrolling.batches import list_batches
from tests.browser.conftest import executable
from tests.browser.console_people import busy_service

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures" / "console"


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        busy_service(Path(folder) / "state") as service,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(executable()), args=["--no-sandbox"])
        newest = list_batches(on=service.stores)[0].batch.batch_id
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{service.url}/console/sign-in")
            page.get_by_label("API key").fill(service.key)
            page.get_by_role("button", name="Sign in").click()
            shots = {"overview": "", "batch": f"/batches/{newest}", "subject": "/subjects/user-8c41"}
            for name, address in shots.items():
                page.goto(f"{service.url}/console{address}")
                _shoot(page, f"{name}-{scheme}")
            context.close()
        browser.close()


def _shoot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(FOLDER / f"{name}.png"))
    print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
