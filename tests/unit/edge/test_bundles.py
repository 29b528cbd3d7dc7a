"""A kiosk without its service: what it decides, and everything that it refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import recon_service.edge.kiosk as kiosk_module
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import Probe
from recon_service.application.records.edge import BundleContents, BundleHead, EdgeTerms, Revocations
from recon_service.comparison.calibration_file import save_calibration
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import Conflict, InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore, Decision, Provenance, Template, VerificationResult
from recon_service.edge import (
    BundleAltered,
    BundleExpired,
    BundleNotForThisKiosk,
    BundleRolledBack,
    ClockSetBack,
    EdgeKiosk,
    EdgeStateLost,
    KioskKeys,
    SubjectNotInBundle,
    SubjectRefused,
    SubjectRevoked,
    open_bundle,
    write_bundle,
)
from recon_service.edge.sealing import public_of
from recon_service.edge.state import EdgeState
from recon_service.edge.statements import is_from, open_report, read, write_revocations
from recon_service.formats.signing import Ed25519Signer
from recon_service.formats.template_format import BinaryTemplateFormat
from tests.references import MODES, SPACE, small_calibration

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SERVICE = Ed25519Signer(bytes(32))
REPORTS = X25519PrivateKey.from_private_bytes(b"r" * 32)
KEYS = KioskKeys.from_secret(bytes(range(64)))
TERMS = EdgeTerms("pilot-1", 3.0, 0.0, ("shape",), ("appearance",), 1, True, most_failures=2, evidence=True)
POSTERIOR = IdentityPosterior(SPACE, np.ones(MODES), 0.1 * np.eye(MODES))


def template(subject_id: str) -> Template:
    seen = Provenance("selfies-photometric/visible", "facemesh", NOW)
    return Template(
        f"tpl_{subject_id}", subject_id, POSTERIOR, seen.source, "model", "small", (seen,), 80.0, NOW
    )


def head(**changes: Any) -> BundleHead:
    plain = BundleHead(
        bundle_id="bnd_1",
        site="lobby",
        kiosk_id="kiosk_1",
        serial=1,
        made_at=NOW,
        expires_at=NOW + timedelta(hours=12),
        recipient=KEYS.recipient,
        reports_to=public_of(REPORTS),
        model="model",
        calibration="small",
        templates=2,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> BundleContents:
    folder = tmp_path_factory.mktemp("calibration")
    save_calibration(small_calibration(), folder)
    files = (folder / "small.toml").read_bytes(), (folder / "small.npz").read_bytes()
    written = tuple(BinaryTemplateFormat().write(template(name)) for name in ("ada", "bob"))
    return BundleContents(TERMS, written, files)


@dataclass
class Clock:
    now: datetime = NOW + timedelta(minutes=10)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Site:
    """A kiosk, and a service that it sometimes reaches. The camera's part is played: what a visit gives is
    decided here, what becomes of it there.
    """

    folder: Path
    contents: BundleContents
    clock: Clock = field(default_factory=Clock)
    decision: Decision = Decision.MATCH
    told: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    revoked: frozenset[str] = frozenset()
    most: int = 10**6
    serial: int = 1

    def __post_init__(self) -> None:
        EdgeKiosk.set_up(self.folder, KEYS)

    def kiosk(self) -> EdgeKiosk:
        pipeline = FacePipeline(None, None, None, None, small_calibration())  # type: ignore[arg-type]
        return EdgeKiosk(self.folder, KEYS, trusted=SERVICE.public, pipeline=pipeline, clock=self.clock)

    def with_bundle(self, **changes: Any) -> EdgeKiosk:
        kiosk = self.kiosk()
        kiosk.install(write_bundle(head(**changes), self.contents, signer=SERVICE))
        return kiosk

    def verified(
        self, frames: Sequence[DepthFrame], reference: Template, pipeline: FacePipeline, policy: Any
    ) -> tuple[Probe, VerificationResult]:
        assert pipeline.calibration.digest, "the calibration is the bundle's"
        assert (policy.name, policy.match_above) == ("pilot-1", 3.0)
        score = ComparisonScore(4.0, reference.source, "kinect2", "small")
        return Probe(POSTERIOR, (), "kinect2"), VerificationResult(
            self.decision, score, (("a-reason", "hint"),), policy.name, frames_used=1
        )

    def revocations(self) -> dict[str, Any]:
        self.told.append("revocations")
        statement = Revocations("lobby", 100 + len(self.told), self.clock.now, self.revoked)
        return write_revocations(statement, signer=SERVICE)

    def reports(self, reports: Sequence[dict[str, Any]]) -> int:
        self.told.append("reports")
        self.taken += reports[: self.most]
        return int(self.taken[-1]["sequence"])

    def bundle(self) -> bytes:
        self.told.append("bundle")
        self.serial += 1
        made = head(bundle_id=f"bnd_{self.serial}", serial=self.serial, made_at=self.clock.now)
        return write_bundle(made, self.contents, signer=SERVICE)


@pytest.fixture
def site(tmp_path: Path, contents: BundleContents, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "edge", contents)
    monkeypatch.setattr(kiosk_module, "verified_probe", made.verified)
    return made


def state_in(folder: Path) -> EdgeState:
    folder.mkdir(exist_ok=True)
    return EdgeState.create(folder / "state", KEYS)


def opened(content: bytes, state: EdgeState, keys: KioskKeys = KEYS, now: datetime = NOW) -> Any:
    return open_bundle(content, keys=keys, trusted=SERVICE.public, state=state, now=now)


def test_what_was_sealed_is_opened(contents: BundleContents, tmp_path: Path) -> None:
    content = write_bundle(head(), contents, signer=SERVICE)
    bundle = opened(content, state_in(tmp_path))
    assert bundle.head == head()
    assert bundle.terms == TERMS
    np.testing.assert_array_equal(bundle.templates["ada"].posterior.mean, POSTERIOR.mean)
    assert bundle.templates["bob"] is not bundle.templates["ada"]
    assert bundle.calibration.name == "small"
    assert b"ada" not in content, "nobody else reads whose templates they are"


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(
    tmp_path_factory: pytest.TempPathFactory, contents: BundleContents, place: float, bit: int
) -> None:
    content = bytearray(write_bundle(head(), contents, signer=SERVICE))
    content[int(place * len(content))] ^= 1 << bit
    with pytest.raises(BundleAltered):
        opened(bytes(content), state_in(tmp_path_factory.mktemp("state")))


@pytest.mark.parametrize("cut", [0, 5, 20, 400, -1])
def test_what_is_cut_off_or_no_bundle_is_refused(contents: BundleContents, tmp_path: Path, cut: int) -> None:
    content = write_bundle(head(), contents, signer=SERVICE)
    for broken in (content[:cut], b"\x00" * 100, content + b"x", content[:13] + b"\xff" * 200):
        with pytest.raises(BundleAltered):
            opened(broken, state_in(tmp_path / "s"))
        (tmp_path / "s" / "state").unlink()


def test_another_service_and_another_kiosk_are_refused(contents: BundleContents, tmp_path: Path) -> None:
    state = state_in(tmp_path)
    with pytest.raises(BundleAltered, match="signed"):
        opened(write_bundle(head(), contents, signer=Ed25519Signer(b"x" * 32)), state)
    other = KioskKeys.from_secret(b"o" * 64)
    with pytest.raises(BundleNotForThisKiosk):
        opened(write_bundle(head(), contents, signer=SERVICE), state, keys=other)
    opened(write_bundle(head(), contents, signer=SERVICE), state)
    with pytest.raises(BundleNotForThisKiosk):
        opened(write_bundle(head(site="vault", serial=2), contents, signer=SERVICE), state)


def test_time_goes_one_way(contents: BundleContents, tmp_path: Path) -> None:
    """Expiry, a clock before the bundle, a clock that is set back to make an expired bundle young again."""
    content = write_bundle(head(), contents, signer=SERVICE)
    state = state_in(tmp_path)
    with pytest.raises(ClockSetBack):
        opened(content, state, now=NOW - timedelta(hours=1))
    opened(content, state, now=NOW + timedelta(hours=11))
    with pytest.raises(BundleExpired):
        opened(content, state, now=NOW + timedelta(hours=12))
    again = EdgeState.load(tmp_path / "state", KEYS)
    with pytest.raises(ClockSetBack):
        opened(content, again, now=NOW + timedelta(hours=1))


def test_an_older_bundle_does_not_come_back(contents: BundleContents, tmp_path: Path) -> None:
    state = state_in(tmp_path)
    old = write_bundle(head(), contents, signer=SERVICE)
    opened(write_bundle(head(bundle_id="bnd_2", serial=2), contents, signer=SERVICE), state)
    again = EdgeState.load(tmp_path / "state", KEYS)
    with pytest.raises(BundleRolledBack):
        opened(old, again)
    with pytest.raises(BundleRolledBack):
        opened(write_bundle(head(bundle_id="bnd_x", serial=2), contents, signer=SERVICE), again)


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
