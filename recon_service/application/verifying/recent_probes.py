"""Keeping recent probes: in the transaction that puts the decision on record, where consent and settings say
so. The answer does not wait for anything else.

Of a claim that did not match nobody knows who stood there, and whether that person ever consented: it is kept
only where operations have said that it may be (docs/adr/0156).
"""

from __future__ import annotations

from recon_service.application.computing.probe_format import probe_bytes, read_probe
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import probes_allowed
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.probes import PROBE_PLACE, ProbePolicy, RecentProbe, SealedProbe
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.visits import VerificationOutcome
from recon_service.domain.errors import StorageFault
from recon_service.domain.template import Decision


def probe_wanted(subject_id: str, policy: ProbePolicy, *, on: Stores) -> bool:
    """Whether what the next verification sees may be kept: asked before it is looked at, so that nothing of
    a person without such a consent leaves the process that looks.
    """
    if not policy.most:
        return False
    with on.database.snapshot() as tx:
        return probes_allowed(tx.consents.of_subject(subject_id), on.clock())


def keep_probe(
    subject_id: str, outcome: VerificationOutcome, policy: ProbePolicy, *, tx: Transaction, on: Stores
) -> bool:
    """Whether it was kept. First in its transaction: it locks the subject's key."""
    seen, score = outcome.seen, outcome.result.score
    if seen is None or score is None:
        return False
    if not policy.refusals and outcome.result.decision is not Decision.MATCH:
        return False
    key = tx.subjects.key(subject_id, lock=True)
    if key is None or not probes_allowed(tx.consents.of_subject(subject_id), on.clock()):
        return False  # deleted, or withdrawn, while it was looked at
    probe = RecentProbe(
        probe_id=new_id("probe"),
        seen_at=on.clock(),
        seen=seen,
        calibration=outcome.calibration,
        policy=outcome.result.policy,
        decision=outcome.result.decision,
        llr=score.llr,
    )
    sealed = on.vault.cipher(key).seal(probe_bytes(probe), place=PROBE_PLACE, row=probe.probe_id)
    tx.recent_probes.keep(SealedProbe(probe.probe_id, subject_id, probe.seen_at, sealed), most=policy.most)
    return True


def forget_unless_allowed(subject_id: str, *, tx: Transaction, on: Stores) -> None:
    """When the consent of a subject has changed: probes of before stay only where it says so too."""
    if not probes_allowed(tx.consents.of_subject(subject_id), on.clock()):
        tx.recent_probes.forget(subject_id)


def opened_probes(subject_id: str, key: WrappedKey, *, tx: Transaction, on: Stores) -> list[RecentProbe]:
    """Newest first; what cannot be opened is left out. Nothing that the consent does not allow any more."""
    if not probes_allowed(tx.consents.of_subject(subject_id), on.clock()):
        return []
    found, cipher = [], on.vault.cipher(key)
    for row in tx.recent_probes.of(subject_id):
        try:
            found.append(read_probe(cipher.open(row.sealed, place=PROBE_PLACE, row=row.probe_id)))
        except StorageFault:
            continue
    return found
