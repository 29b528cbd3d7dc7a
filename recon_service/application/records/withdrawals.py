"""What a person or an operator has taken back, and a restore from a backup must not give again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class WithdrawalKind(StrEnum):
    """Of a kiosk of edge mode its revocation, of a webhook its removal, of a subject that it is no longer a
    member of a site, or that its consent allows less than before.
    """

    KIOSK = "kiosk"
    WEBHOOK = "webhook"
    MEMBER = "member"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """about: the id of a kiosk or webhook, or the keyed hash of a subject's, so that it names nobody. detail:
    of a member the site; of a consent what is left of it (``keeping.withdrawals``).
    """

    withdrawal_id: str
    kind: WithdrawalKind
    about: str
    at: datetime
    detail: str = ""

    def statement(self) -> tuple[bytes, ...]:
        """The fields that the authentication of its note covers, in order."""
        values = (self.withdrawal_id, self.kind.value, self.about, self.at.isoformat(), self.detail)
        return tuple(value.encode() for value in values)
