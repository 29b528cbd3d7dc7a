"""The gate of the enrollment, asked by itself: would these selfies do?"""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.application.ports.compute import Compute
from recon_service.application.records.operations import MAX_SELFIES, SelfieReport
from recon_service.domain.errors import InvalidValue


def check_quality(selfies: Sequence[bytes], *, compute: Compute) -> tuple[SelfieReport, ...]:
    """What the gate of the enrollment would say about these selfies; nothing is stored."""
    if not 1 <= len(selfies) <= MAX_SELFIES or not all(selfies):
        raise InvalidValue(
            f"a quality check takes 1 to {MAX_SELFIES} selfies that are not empty",
            next_step="Send each picture as a part named 'selfies'.",
        )
    return compute.check_quality(selfies)
