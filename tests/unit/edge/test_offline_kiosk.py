"""A kiosk without its service: what it decides and reports, and everything that it refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.records.edge import Revocations
from recon_service.domain.errors import Conflict, InvalidValue
from recon_service.domain.template import Decision
from recon_service.edge import (
    BundleAltered,
    BundleExpired,
    BundleRolledBack,
    ClockSetBack,
    EdgeKiosk,
    EdgeStateLost,
    KioskKeys,
    SubjectNotInBundle,
    SubjectRefused,
    SubjectRevoked,
)
from recon_service.edge.statements import is_from, open_report, read, write_revocations
from recon_service.formats.template_format import BinaryTemplateFormat
from tests.unit.edge.offline_site import KEYS, NOW, POSTERIOR, REPORTS, SERVICE, TERMS, Site


def test_a_state_that_is_missing_or_altered_is_not_made_up(tmp_path: Path, site: Site) -> None:
    with pytest.raises(Conflict):
        EdgeKiosk.set_up(site.folder, KEYS)
    path = site.folder / "state"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(EdgeStateLost):
        site.kiosk()
    path.unlink()
    with pytest.raises(EdgeStateLost):
        site.kiosk()
    (site.folder / "bundle").write_bytes(b"left over")
    with pytest.raises(EdgeStateLost):
        EdgeKiosk.set_up(site.folder, KEYS)


def test_a_decision_is_reported_once_the_service_is_there(site: Site) -> None:
    kiosk = site.with_bundle()
    assert kiosk.verify_offline("ada", ()).result.decision is Decision.MATCH
    site.decision = Decision.NO_MATCH
    assert kiosk.verify_offline("bob", ()).result.decision is Decision.NO_MATCH
    kiosk = site.kiosk()  # switched off and on
    kiosk.verify_offline("bob", ())
    assert kiosk.unreported() == 3
    on_disk = b"".join(path.read_bytes() for path in site.folder.rglob("*") if path.is_file())
    assert b"ada" not in on_disk
    assert kiosk.synchronize(site) == 3
    assert site.told == ["revocations", "reports", "bundle"], "revocations first of all"
    assert kiosk.unreported() == 0
    before = ""
    for number, sent in enumerate(site.taken, start=1):
        sealed = read(sent)
        assert is_from(sealed, KEYS.signing)
        assert not is_from(sealed, SERVICE.public)
        assert (sealed.sequence, sealed.before) == (number, before)
        report = open_report(sealed, key=REPORTS)
        assert (report.decision, report.subject_id) == (
            [Decision.MATCH, Decision.NO_MATCH, Decision.NO_MATCH][number - 1],
            ["ada", "bob", "bob"][number - 1],
        )
        seen = BinaryTemplateFormat().read(report.evidence)
        np.testing.assert_array_equal(seen.posterior.mean, POSTERIOR.mean)
        with pytest.raises(InvalidValue):
            open_report(sealed, key=KEYS.opening)
        with pytest.raises(InvalidValue):
            open_report(replace(sealed, sequence=9), key=REPORTS)
        before = hashlib.sha256(sealed.sealed).hexdigest()


def test_what_was_not_confirmed_is_sent_again(site: Site) -> None:
    kiosk = site.with_bundle()
    for _ in range(3):
        kiosk.verify_offline("ada", ())
    site.most = 2
    assert kiosk.synchronize(site, bundle_too=False) == 2
    assert kiosk.synchronize(site, bundle_too=False) == 1
    assert [sent["sequence"] for sent in site.taken] == [1, 2, 3]


def test_who_was_revoked_is_not_verified(site: Site) -> None:
    kiosk = site.with_bundle()
    kiosk.verify_offline("ada", ())
    site.revoked = frozenset({"tpl_ada"})
    kiosk.synchronize(site, bundle_too=False)
    for one in (kiosk, site.kiosk()):
        with pytest.raises(SubjectRevoked):
            one.verify_offline("ada", ())
        one.verify_offline("bob", ())
    old = write_revocations(Revocations("lobby", 1, NOW, frozenset()), signer=SERVICE)
    with pytest.raises(BundleRolledBack):
        kiosk.apply_revocations(old)
    forged = {**site.revocations(), "statement": json.dumps({"site": "lobby", "number": 999})}
    with pytest.raises(BundleAltered):
        kiosk.apply_revocations(forged)


def test_who_is_not_there_or_failed_too_often_is_refused(site: Site) -> None:
    kiosk = site.with_bundle()
    with pytest.raises(SubjectNotInBundle):
        kiosk.verify_offline("eve", ())
    site.decision = Decision.INCONCLUSIVE
    for _ in range(TERMS.most_failures):
        kiosk.verify_offline("ada", ())
    for one in (kiosk, site.kiosk()):
        with pytest.raises(SubjectRefused):
            one.verify_offline("ada", ())
    site.decision = Decision.MATCH
    kiosk.verify_offline("bob", ())
    assert kiosk.unreported() == TERMS.most_failures + 1


def test_a_kiosk_stops_when_its_bundle_ends_and_when_its_clock_is_set_back(site: Site) -> None:
    kiosk = site.kiosk()
    with pytest.raises(BundleExpired, match="no bundle"):
        kiosk.verify_offline("ada", ())
    kiosk = site.with_bundle()
    site.clock.now = NOW + timedelta(hours=11)
    kiosk.verify_offline("ada", ())
    site.clock.now = NOW + timedelta(hours=13)
    with pytest.raises(BundleExpired):
        kiosk.verify_offline("ada", ())
    site.clock.now = NOW + timedelta(hours=1)
    with pytest.raises(ClockSetBack):
        kiosk.verify_offline("ada", ())
    with pytest.raises(ClockSetBack):
        site.kiosk().verify_offline("ada", ())


def test_keys_are_made_once_and_read_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made = KioskKeys.generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (KioskKeys.load(path).recipient, KioskKeys.load(path).signing) == (made.recipient, made.signing)
    with pytest.raises(Conflict):
        KioskKeys.generate(path)
    path.write_bytes(b"short")
    with pytest.raises(InvalidValue):
        KioskKeys.load(path)
    with pytest.raises(InvalidValue):
        KioskKeys.load(tmp_path / "none")


def test_it_needs_nothing_of_the_server() -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'fastapi', 'starlette', 'sqlalchemy', 'celery', 'kombu', 'redis', "
        "'boto3', 'alembic', 'psycopg', 'uvicorn', 'pydantic', 'typer', 'rich', 'structlog'}:\n"
        "            raise ImportError('of the server: ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import recon_service.edge\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
