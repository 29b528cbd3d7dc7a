"""What a kiosk does without the service.

A decision is for the person who stands there now. A verification is therefore never kept to be sent later: it
is decided by the service, or by a site's bundle where the policy allows that, or it is refused on the screen.
What may wait is the report of decisions that were made with a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.errors import OfflineRefused, ServiceError
from recon_service.kiosk.service import Verdict


class WhenOffline(StrEnum):
    """REFUSE: no decision. BUNDLE: decide with the site's bundle, and report it afterwards."""

    REFUSE = "refuse"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class OfflinePolicy:
    """most_unreported: decisions that may wait for their report; with so many the kiosk refuses, so that a
    cut line cannot hide what it decided.
    """

    when: WhenOffline = WhenOffline.REFUSE
    most_unreported: int = 200

    def __post_init__(self) -> None:
        if self.most_unreported < 1:
            raise InvalidValue("at least one decision may wait for its report")


class BundleVerifier(Protocol):
    """Decides with what the kiosk holds of its site (``recon_service.edge``), and keeps the reports,
    sealed.
    """

    def verify(self, subject_id: str, frames: Sequence[DepthFrame]) -> Verdict:
        """Raises OfflineRefused: expired, revoked, or not in the bundle."""
        ...

    def unreported(self) -> int: ...

    def report(self) -> int:
        """Send what waits; how many were sent. Raises ServiceError."""
        ...


def decide_offline(
    subject_id: str,
    frames: Sequence[DepthFrame],
    *,
    policy: OfflinePolicy,
    bundle: BundleVerifier | None,
    because: ServiceError,
) -> Verdict:
    """The decision without the service. Raises OfflineRefused, naming why the service was not asked."""
    if policy.when is WhenOffline.REFUSE or bundle is None:
        raise OfflineRefused(
            f"the service did not decide ({because.detail}) and nothing else may",
            next_step=because.next_step or "Try again when the service is there.",
        )
    if bundle.unreported() >= policy.most_unreported:
        raise OfflineRefused(
            f"{policy.most_unreported} decisions wait for their report",
            next_step="Connect the kiosk, so that it can report them.",
        )
    return bundle.verify(subject_id, frames)
