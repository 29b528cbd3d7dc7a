"""What a kiosk remembers from one bundle to the next: which serial it has had, what time it has seen, which
templates are revoked, who failed how often, and where its reports stand.

The file is encrypted with a key of the kiosk and replaced as a whole. Who owns the kiosk can put an older
state back, together with the older bundle; within the bundle's life nothing on the kiosk alone can tell.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag

from recon_service.application.records.edge import BundleHead, Revocations
from recon_service.domain.errors import Conflict
from recon_service.edge.errors import (
    BundleExpired,
    BundleNotForThisKiosk,
    BundleRolledBack,
    ClockSetBack,
    EdgeStateLost,
)
from recon_service.edge.keys import KioskKeys
from recon_service.edge.sealing import own_cipher

CLOCK_TOLERANCE: Final = timedelta(minutes=2)
"""Between the clocks of service and kiosk, and for corrections of the kiosk's own."""
_CONTEXT: Final = b"recon-edge-state-1"
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Facts:
    site: str = ""
    kiosk_id: str = ""
    serial: int = 0
    bundle_id: str = ""
    last_seen: str = _LONG_AGO.isoformat()
    revocations: int = 0
    revoked: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    reports: int = 0
    last_report: str = ""


class EdgeState:
    """Not for several threads or processes at once."""

    def __init__(self, path: Path | None, keys: KioskKeys, facts: _Facts) -> None:
        self._path, self._cipher, self._facts = path, own_cipher(keys.opening, "state"), facts

    @classmethod
    def create(cls, path: Path, keys: KioskKeys) -> EdgeState:
        """For a kiosk that is set up. Raises Conflict where there is one."""
        if path.exists():
            raise Conflict(f"{path.name} is there already", next_step="A kiosk is set up once.")
        state = cls(path, keys, _Facts())
        state.save()
        return state

    @classmethod
    def load(cls, path: Path, keys: KioskKeys) -> EdgeState:
        """Raises EdgeStateLost: a kiosk without it could be made to forget what it was told."""
        try:
            content = path.read_bytes()
            plain = own_cipher(keys.opening, "state").decrypt(content[:12], content[12:], _CONTEXT)
            facts: dict[str, Any] = json.loads(plain)
            return cls(path, keys, _Facts(**facts))
        except (OSError, InvalidTag, ValueError, TypeError):
            raise EdgeStateLost(
                "the kiosk's state is missing or was altered",
                next_step="Set the kiosk up again, with new keys: recon edge keys.",
            ) from None

    @classmethod
    def blank(cls, keys: KioskKeys) -> EdgeState:
        """Remembers nothing, and is never written: to look at a bundle without taking it into use."""
        return cls(None, keys, _Facts())

    def save(self) -> None:
        """Whole or not at all, on the disk before this returns."""
        if self._path is None:
            return
        nonce = os.urandom(12)
        sealed = nonce + self._cipher.encrypt(nonce, json.dumps(asdict(self._facts)).encode(), _CONTEXT)
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    @property
    def reports(self) -> int:
        """How many were written."""
        return self._facts.reports

    @property
    def last_report(self) -> str:
        """SHA-256 of the sealed bytes of the last one."""
        return self._facts.last_report

    def saw(self, now: datetime) -> None:
        """Raises ClockSetBack."""
        last = datetime.fromisoformat(self._facts.last_seen)
        if now < last - CLOCK_TOLERANCE:
            raise ClockSetBack(
                "the clock shows less than it did before", next_step="Set the kiosk's clock right."
            )
        self._facts.last_seen = max(now, last).isoformat()

    def accept(self, head: BundleHead, *, now: datetime) -> None:
        """Raises BundleNotForThisKiosk, BundleRolledBack, ClockSetBack, BundleExpired."""
        facts = self._facts
        if facts.kiosk_id and (head.site, head.kiosk_id) != (facts.site, facts.kiosk_id):
            raise BundleNotForThisKiosk(
                "this kiosk belongs to another site", next_step="Set it up again to move it."
            )
        if head.serial < facts.serial or (head.serial == facts.serial and head.bundle_id != facts.bundle_id):
            raise BundleRolledBack(
                f"bundle {facts.serial} was here before, and this is {head.serial}",
                next_step="Fetch a new one.",
            )
        self.saw(now)
        if now < head.made_at - CLOCK_TOLERANCE:
            raise ClockSetBack(
                "the clock shows less than when the bundle was made", next_step="Set the kiosk's clock right."
            )
        self.require_unexpired(head, now=now)
        if head.serial > facts.serial:
            facts.failures = {}
        facts.site, facts.kiosk_id = head.site, head.kiosk_id
        facts.serial, facts.bundle_id = head.serial, head.bundle_id
        self.save()

    def require_unexpired(self, head: BundleHead, *, now: datetime) -> None:
        """Also by the latest time that was ever seen. Raises BundleExpired."""
        if max(now, datetime.fromisoformat(self._facts.last_seen)) >= head.expires_at:
            self.save()  # what was seen stays seen
            raise BundleExpired(
                "the bundle's time is over", next_step="Connect the kiosk and fetch a new one."
            )

    def revoke(self, revocations: Revocations) -> None:
        """Raises BundleNotForThisKiosk, BundleRolledBack."""
        if self._facts.site and revocations.site != self._facts.site:
            raise BundleNotForThisKiosk("these revocations are another site's")
        if revocations.number < self._facts.revocations:
            raise BundleRolledBack("newer revocations were here before", next_step="Fetch them again.")
        self._facts.revocations = revocations.number
        self._facts.revoked = sorted(revocations.template_ids)
        self.save()

    def revoked(self, template_id: str) -> bool:
        """Whether the service has taken it back."""
        return template_id in self._facts.revoked

    def failures(self, subject_id: str) -> int:
        """Verifications without a match since the last match, within the life of this bundle."""
        return self._facts.failures.get(subject_id, 0)

    def attempt(self, subject_id: str) -> None:
        """Counts as failed until it turns out otherwise; on the disk before anything is compared."""
        self._facts.failures[subject_id] = self.failures(subject_id) + 1
        self.save()

    def matched(self, subject_id: str) -> None:
        """The subject was there."""
        self._facts.failures.pop(subject_id, None)

    def reported(self, digest: str) -> None:
        """One more report."""
        self._facts.reports += 1
        self._facts.last_report = digest
        self.save()
