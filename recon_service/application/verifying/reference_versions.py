"""Which version of a template a process compares with while templates move from one model to another.

The one in force, wherever it can be. Where the process's model cannot be compared with it, the version that
it was derived from, if that is still kept (``templates.lineage``). So a fleet goes on verifying between the
activation of a batch and the moment when each of its processes runs the new model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.templates.lineage import former_versions
from recon_service.application.templates.sealing import open_template
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Template

FORMER_VERSION: Final = "former-version"
"""In the audit log, of a verification that was not held against the template in force, and of a search with
such a candidate.
"""


def verified_by(
    reference: Template, visit: KioskVisit, *, on: Stores, compute: Compute
) -> tuple[Template, VerificationOutcome]:
    """The outcome, and the version that was compared. Raises ModelMismatch where this process's model can be
    compared with none, and what ``Compute.verify`` raises.
    """
    try:
        return reference, compute.verify(reference, visit)
    except ModelMismatch as mismatch:
        # A former version does not grow: what it would learn belongs to the one in force.
        seen = replace(visit, may_strengthen=False)
        for former in _opened_former(reference, on=on):
            try:
                return former, compute.verify(former, seen)
            except ModelMismatch:
                continue
        raise ModelMismatch(
            f"{mismatch.detail}; no version of before can be compared either",
            next_step="Derive the template anew for this service's model (recon batch submit --to-model), or "
            "enroll the subject again.",
        ) from mismatch


def _opened_former(reference: Template, *, on: Stores) -> Iterator[Template]:
    """The last first. Raises StorageFault."""
    subject_id = reference.subject_id
    with on.database.snapshot() as tx:
        key = tx.subjects.key(subject_id)
        chain = former_versions(reference.template_id, tx.references.versions([subject_id]))
        rows = [tx.templates.get(subject_id, version.template_id) for version in chain]
    for row in rows:
        if key is not None and row is not None:
            yield open_template(row, key, on=on)
