"""Lock-out: after repeated verifications without a match, a subject or an API key waits; so does a key after
repeated searches that named nobody. How attempts are counted: ``attempts``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from recon_service.application.keeping.audit import record, subject_digest
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureCounter, FailureKind
from recon_service.application.records.kiosks import PresentedProof
from recon_service.application.records.probes import ProbePolicy
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.templates.subjects import load_template
from recon_service.application.verifying.attempts import LockoutPolicy, begin_verification, settle, void
from recon_service.application.verifying.recent_probes import keep_probe, probe_wanted
from recon_service.application.verifying.reference_versions import FORMER_VERSION, verified_by
from recon_service.application.verifying.strengthening_keeping import (
    NEVER,
    StrengtheningLimits,
    keep_visit,
    may_strengthen,
)
from recon_service.domain.errors import NotFound, ReconError
from recon_service.domain.template import Decision

REMEMBERED: Final = timedelta(days=1)
"""Counters that nobody touched for so long are forgotten by the sweeper."""
OF_KEYS: Final = (FailureKind.API_KEY, FailureKind.IDENTIFICATION)


def verify_guarded(
    subject_id: str,
    visit: KioskVisit,
    *,
    api_key_id: str,
    policy: LockoutPolicy,
    on: Stores,
    compute: Compute,
    presented: PresentedProof | None = None,
    strengthening: StrengtheningLimits | None = None,
    probes: ProbePolicy = ProbePolicy(),
) -> VerificationOutcome:
    """Is the person before the kiosk the subject? The decision is in the audit log before it is told.

    presented: the nonce of a kiosk session, which is used up before anything is compared. strengthening: how
    often the visits may change the template, None: never. Raises NotFound, DepthRejected, ImageRejected,
    TimeLimitReached, and what ``begin_verification`` raises.
    """
    reference = load_template(subject_id, None, on=on)
    limits = strengthening or NEVER
    visit = replace(
        visit,
        may_strengthen=may_strengthen(reference, limits, now=on.clock()),
        keep_probe=probe_wanted(subject_id, probes, on=on),
    )
    attempt = begin_verification(subject_id, api_key_id=api_key_id, policy=policy, presented=presented, on=on)
    try:
        compared, outcome = verified_by(reference, visit, on=on, compute=compute)
    except ReconError:
        void(attempt, on=on)
        raise
    decision = outcome.result.decision
    settle(
        attempt,
        outcome=(
            decision.value,
            *([FORMER_VERSION] if compared is not reference else []),
            *(code for code, _ in outcome.result.reasons),
        ),
        failed=decision is not Decision.MATCH,
        decided=decision is not Decision.INCONCLUSIVE,
        # The subject was there; of the key's other failures that says nothing.
        cleared=(FailureKind.SUBJECT,),
        first=lambda tx: ("probe-kept",) if keep_probe(subject_id, outcome, probes, tx=tx, on=on) else (),
        on=on,
    )
    made = keep_visit(outcome.proposal, reference, api_key_id=api_key_id, limits=limits, on=on)
    return replace(outcome, proposal=None, seen=None, strengthened=made)


def locked_out(*, on: Stores) -> list[FailureCounter]:
    """Who is locked out at this moment."""
    with on.database.snapshot() as tx:
        return tx.limits.locked(now=on.clock())


def lift_lockout(kind: FailureKind, name: str, *, actor: str, on: Stores) -> None:
    """Let a subject in again, or an API key (by its id) with all that it does. Raises NotFound when it is not
    locked out.
    """
    subject_id = name if kind is FailureKind.SUBJECT else ""
    counted = subject_digest(name, on=on) if subject_id else name
    with on.database.transaction() as tx:
        now = on.clock()
        counters = [tx.limits.failures(one, counted, now=now) for one in ((kind,) if subject_id else OF_KEYS)]
        locked = [c for c in counters if c.locked_until is not None and c.locked_until > now]
        if not locked:
            raise NotFound("it is not locked out", next_step="List the lock-outs with: recon limits show")
        for counter in locked:
            tx.limits.set_failures(replace(counter, failures=0, since=now, locked_until=None))
        record(
            tx,
            on=on,
            action="lock-out.lifted",
            actor=actor,
            subject_id=subject_id,
            object_id="" if subject_id else name,
            outcome=[counter.kind.value for counter in locked],
        )
