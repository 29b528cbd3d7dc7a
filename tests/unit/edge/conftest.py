from __future__ import annotations

from pathlib import Path

import pytest

import recon_service.edge.kiosk as kiosk_module
from recon_service.application.records.edge import BundleContents
from recon_service.comparison.calibration_file import save_calibration
from recon_service.formats.template_format import BinaryTemplateFormat
from tests.references import small_calibration
from tests.unit.edge.offline_site import TERMS, Site, template


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> BundleContents:
    folder = tmp_path_factory.mktemp("calibration")
    save_calibration(small_calibration(), folder)
    files = (folder / "small.toml").read_bytes(), (folder / "small.npz").read_bytes()
    written = tuple(BinaryTemplateFormat().write(template(name)) for name in ("ada", "bob"))
    return BundleContents(TERMS, written, files)


@pytest.fixture
def site(tmp_path: Path, contents: BundleContents, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "edge", contents)
    monkeypatch.setattr(kiosk_module, "verified_probe", made.verified)
    return made
