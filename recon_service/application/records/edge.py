"""What a site's kiosks hold to verify without the service, and what they report afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import Decision


@dataclass(frozen=True, slots=True)
class EdgeTerms:
    """Under which a kiosk may decide by itself.

    match_above, no_match_below, requires, may_use, least_frames, match_on_general: the policy's (see
    ``comparison.policy.Policy``); policy: its name. most_failures: verifications without a match until a
    subject is refused for the rest of the bundle's life. evidence: whether what the kiosk saw is reported
    too, for operations to look into.
    """

    policy: str
    match_above: float
    no_match_below: float
    requires: tuple[str, ...]
    may_use: tuple[str, ...]
    least_frames: int
    match_on_general: bool
    most_failures: int = 5
    evidence: bool = False

    def __post_init__(self) -> None:
        if self.most_failures < 1:
            raise InvalidValue("a subject must be allowed one verification at least")


@dataclass(frozen=True, slots=True)
class BundleHead:
    """What is said of a bundle in clear, and signed.

    serial: grows with every bundle of a kiosk. recipient: public key of the kiosk (``x25519:`` and base64).
    reports_to: the service's, by which reports are sealed. model: name of the morphable model.
    """

    bundle_id: str
    site: str
    kiosk_id: str
    serial: int
    made_at: datetime
    expires_at: datetime
    recipient: str
    reports_to: str
    model: str
    calibration: str
    templates: int


@dataclass(frozen=True, slots=True)
class BundleContents:
    """templates: as ``TemplateFormat`` writes them. calibration: TOML and archive of the calibration."""

    terms: EdgeTerms
    templates: tuple[bytes, ...] = field(repr=False)
    calibration: tuple[bytes, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revocations:
    """Templates that a kiosk may hold and must not use any more. number: grows from statement to
    statement.
    """

    site: str
    number: int
    made_at: datetime
    template_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """One decision that a kiosk made by itself. sequence: counts its reports from 1. reasons: codes.
    evidence: the probe as ``TemplateFormat`` writes a template, empty where the terms ask for none.
    """

    kiosk_id: str
    bundle_id: str
    sequence: int
    at: datetime
    subject_id: str
    template_id: str
    decision: Decision
    llr: float | None
    reasons: tuple[str, ...]
    policy: str
    frames_used: int
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class SealedReport:
    """A report as it travels: sealed for the service, signed by the kiosk, chained to the one before.

    before: SHA-256 of the sealed bytes of the report before, hex; empty for the first.
    """

    kiosk_id: str
    sequence: int
    before: str
    sealed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EdgeKioskRecord:
    """A kiosk of a site, by its two public keys. serial: of its last bundle. reported, last_report: number
    and SHA-256 of its last report.
    """

    kiosk_id: str
    site: str
    recipient: str
    signing: str
    created_at: datetime
    revoked_at: datetime | None = None
    serial: int = 0
    reported: int = 0
    last_report: str = ""
