"""Which version of a template a process compares with while templates move from one model to another.

The one in force, wherever it can be. Where the process's model cannot be compared with it, the version that
it was derived from, if that is still kept: it was in force before, the same person's own, and was replaced by
nothing but a derivation of itself. So a fleet goes on verifying between the activation of a batch and the
moment when each of its processes runs the new model. A candidate is never taken: nobody has judged it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.templates.sealing import open_template
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Template

DERIVED: Final = (TemplateOrigin.REENROLLMENT, TemplateOrigin.STRENGTHENING)
"""What came from the version before it, and from nothing that a person brought."""
FORMER_VERSION: Final = "former-version"
"""In the audit log, of a verification that was not held against the template in force."""


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
        for former in former_versions(reference, on=on):
            try:
                return former, compute.verify(former, seen)
            except ModelMismatch:
                continue
        raise ModelMismatch(
            f"{mismatch.detail}; no version of before can be compared either",
            next_step="Derive the template anew for this service's model (recon batch submit --to-model), or "
            "enroll the subject again.",
        ) from mismatch


def former_versions(reference: Template, *, on: Stores) -> Iterator[Template]:
    """The versions that a template was derived from, the last first, one of each model and calibration.
    Raises StorageFault.
    """
    with on.database.snapshot() as tx:
        key = tx.subjects.key(reference.subject_id)
        versions = {row.template_id: row for row in tx.templates.of_subject(reference.subject_id)}
    seen = {(reference.model, reference.calibration)}
    version = versions.get(reference.template_id)
    while key is not None and version is not None:
        version = _before(version, versions)
        if version is not None and (version.model, version.calibration) not in seen:
            seen.add((version.model, version.calibration))
            yield open_template(version, key, on=on)


def _before(version: SealedTemplate, versions: dict[str, SealedTemplate]) -> SealedTemplate | None:
    """None: the person brought this one, or what was before it is gone."""
    before = versions.pop(version.parent_id or "", None)
    if version.origin not in DERIVED or before is None or before.state is not TemplateState.RETIRED:
        return None
    return before
