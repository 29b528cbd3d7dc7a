"""Another master key, without downtime: every data key is wrapped anew, a few at a time.

What is encrypted stays as it is; only the wrapping of the keys changes. Each batch is a transaction, and the
rows say how far it got: killed at any point, the next run goes on. Meanwhile both master keys are accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recon_service.application.keeping.audit import record_alone
from recon_service.application.ports.stores import Stores
from recon_service.domain.errors import InsecureConfiguration


@dataclass(frozen=True, slots=True)
class Rotation:
    """rewrapped: by this run. remaining: keys that another master key still wraps, as those that a process
    with the old settings made meanwhile, or that somebody holds at this moment.
    """

    rewrapped: int
    remaining: int

    @property
    def done(self) -> bool:
        """Whether the old master key is needed no more."""
        return self.remaining == 0


def rotate_master_key(
    *, on: Stores, actor: str, batch: int = 100, progress: Callable[[int], None] = lambda count: None
) -> Rotation:
    """Wrap every key by the current master key. Raises InsecureConfiguration when one is wrapped by a master
    key that is not accepted, before anything is changed; StorageFault.
    """
    with on.database.snapshot() as tx:
        counts = tx.wrapped_keys.count_by_master()
    unknown = sum(n for name, n in counts.items() if name not in on.vault.accepted_master_key_ids)
    if unknown:
        raise InsecureConfiguration(
            f"{unknown} keys are wrapped by a master key that this process does not have",
            next_step="Name the old master key in RECON_ACCEPTED_MASTER_KEYS_FILE.",
        )
    total, after = 0, ""
    while True:
        with on.database.transaction() as tx:
            # From where the last batch ended: what is wrapped anew is not looked at again and again.
            found = tx.wrapped_keys.not_wrapped_by(on.vault.master_key_id, limit=batch, after=after)
            for key in found:
                tx.wrapped_keys.rewrap(on.vault.rewrapped(key))
        if not found and not after:
            break
        # At the end once more from the beginning: others may have made or held some meanwhile.
        after = found[-1].subject_id if found else ""
        total += len(found)
        progress(total)
    with on.database.snapshot() as tx:
        counts = tx.wrapped_keys.count_by_master()
    remaining = sum(n for name, n in counts.items() if name != on.vault.master_key_id)
    if total or remaining:
        record_alone(
            on=on,
            action="master-key.rotated",
            actor=actor,
            object_id=on.vault.master_key_id,
            outcome=f"rewrapped={total} remaining={remaining}",
        )
    return Rotation(total, remaining)
