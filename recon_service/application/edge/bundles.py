"""Edge mode at the service: a site's kiosks and subjects, a bundle of its templates for one of the kiosks,
what was revoked since, and the reports of what they decided.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from recon_service.application.keeping.audit import record, subject_digest
from recon_service.application.keeping.signing import SIGNING_KEY, service_signer
from recon_service.application.keeping.withdrawals import note_withdrawals, withdraw
from recon_service.application.ports.edge import EdgeFormat
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import Signer
from recon_service.application.records.edge import (
    BundleContents,
    BundleHead,
    EdgeKioskRecord,
    EdgeTerms,
    Revocations,
    SealedReport,
)
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.records.withdrawals import WithdrawalKind
from recon_service.application.searching.compared_versions import open_reference
from recon_service.application.templates.subjects import no_such_subject
from recon_service.domain.errors import Conflict, Forbidden, InvalidValue, NotFound, StorageFault
from recon_service.domain.template import Template

EVIDENCE_PLACE: Final = "edge-evidence"
MAX_REPORTS: Final = 100
_SITE = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class EdgeOff(Conflict):
    """The service makes no bundles: no policy for them is set."""

    code = "edge-off"
    title = "Edge mode is switched off"


class EdgeReportsForked(Conflict):
    """The reports of a kiosk do not follow the last one: one is missing, or another was sent before under its
    number.
    """

    code = "edge-reports-forked"
    title = "The kiosk's reports do not follow each other"


@dataclass(frozen=True, slots=True)
class EdgeIssuer:
    """What bundles are made of. calibration: TOML and archive; calibration_identity, model: of those in
    force. lifetime: of a bundle.
    """

    terms: EdgeTerms
    calibration: tuple[bytes, bytes] = field(repr=False)
    calibration_identity: str
    space: str
    model: str
    lifetime: timedelta
    format: EdgeFormat


def register_kiosk(
    site: str, *, recipient: str, signing: str, actor: str, on: Stores, by: EdgeFormat
) -> EdgeKioskRecord:
    """Trust a kiosk by the keys it made. Raises InvalidValue."""
    check_site(site)
    by.check_keys(recipient, signing)
    kiosk = EdgeKioskRecord(new_id("kiosk"), site, recipient, signing, on.clock())
    with on.database.transaction() as tx:
        tx.edge.add_kiosk(kiosk)
        record(tx, on=on, action="edge.kiosk-registered", actor=actor, object_id=kiosk.kiosk_id)
    return kiosk


def revoke_kiosk(site: str, kiosk_id: str, *, actor: str, on: Stores) -> None:
    """No more bundles for it; its reports are still taken. Raises NotFound."""
    with on.database.transaction() as tx:
        kiosk = _kiosk(tx.edge.kiosk(kiosk_id, lock=True), site)
        if kiosk.revoked_at is None:
            tx.edge.update_kiosk(replace(kiosk, revoked_at=on.clock()))
            withdraw(WithdrawalKind.KIOSK, kiosk_id, tx, on=on)
            record(tx, on=on, action="edge.kiosk-revoked", actor=actor, object_id=kiosk_id)
    note_withdrawals(on=on)


def add_member(site: str, subject_id: str, *, actor: str, on: Stores) -> None:
    """The site's next bundles hold the subject. Raises NotFound."""
    check_site(site)
    check_subject_id(subject_id)
    with on.database.transaction() as tx:
        if tx.subjects.key(subject_id, lock=True) is None:
            raise no_such_subject()
        tx.edge.add_member(site, subject_id, now=on.clock())
        record(tx, on=on, action="edge.member-added", actor=actor, subject_id=subject_id)


def remove_member(site: str, subject_id: str, *, actor: str, on: Stores) -> None:
    """It is revoked from the bundles that are out. Raises NotFound."""
    check_site(site)
    check_subject_id(subject_id)
    with on.database.transaction() as tx:
        if not tx.edge.remove_member(site, subject_id):
            raise NotFound("the site does not hold the subject", next_step="Nothing is left to be done.")
        withdraw(WithdrawalKind.MEMBER, subject_digest(subject_id, on=on), tx, on=on, detail=site)
        record(tx, on=on, action="edge.member-removed", actor=actor, subject_id=subject_id)
    note_withdrawals(on=on)


def make_bundle(site: str, kiosk_id: str, *, actor: str, on: Stores, by: EdgeIssuer | None) -> bytes:
    """All members' active templates, sealed for one kiosk. Raises EdgeOff, NotFound, Forbidden,
    StorageFault.
    """
    issuer = _issuer(by)
    check_site(site)
    signer, secret = _service_keys(on)
    with on.database.transaction() as tx:
        kiosk = _kiosk(tx.edge.kiosk(kiosk_id, lock=True), site)
        if kiosk.revoked_at is not None:
            raise Forbidden("the kiosk was revoked", next_step="Register it again with new keys.")
        templates = [open_reference(one, on=on) for one in tx.edge.references(site)]
        usable = [one for one in templates if one.posterior.space == issuer.space]
        now = on.clock()
        head = BundleHead(
            bundle_id=new_id("bnd"),
            site=site,
            kiosk_id=kiosk_id,
            serial=kiosk.serial + 1,
            made_at=now,
            expires_at=now + issuer.lifetime,
            recipient=kiosk.recipient,
            reports_to=issuer.format.public(secret),
            model=issuer.model,
            calibration=issuer.calibration_identity,
            templates=len(usable),
        )
        tx.edge.update_kiosk(replace(kiosk, serial=head.serial))
        tx.edge.add_bundle(head, [one.template_id for one in usable])
        tx.edge.forget_bundles(expired_before=now - issuer.lifetime)
        contents = BundleContents(issuer.terms, _written(usable, on), issuer.calibration)
        bundle = issuer.format.bundle(head, contents, signer=signer)
        record(
            tx,
            on=on,
            action="edge.bundle",
            actor=actor,
            object_id=head.bundle_id,
            outcome=(kiosk_id, f"{len(usable)} templates"),
        )
    return bundle


def signed_revocations(site: str, *, on: Stores, by: EdgeFormat) -> dict[str, Any]:
    """What the site's kiosks must not use any more, as of now. Raises InvalidValue."""
    check_site(site)
    signer, _ = _service_keys(on)
    now = on.clock()
    with on.database.snapshot() as tx:
        revoked = tx.edge.revoked(site, now=now)
    number = round(now.timestamp() * 1000)
    return by.revocations(Revocations(site, number, now, revoked), signer=signer)


def take_reports(reports: Sequence[SealedReport], *, on: Stores, by: EdgeFormat) -> int:
    """Number of the last report that is on record; those that were sent before change nothing.

    Every decision goes to the audit log, in the order in which it was made. Raises InvalidValue, NotFound,
    Forbidden (a kiosk did not sign it), EdgeReportsForked.
    """
    if not 1 <= len(reports) <= MAX_REPORTS or len({report.kiosk_id for report in reports}) != 1:
        raise InvalidValue(f"1 to {MAX_REPORTS} reports of one kiosk are taken at a time")
    _, secret = _service_keys(on)
    with on.database.transaction() as tx:
        kiosk = tx.edge.kiosk(reports[0].kiosk_id, lock=True)
        if kiosk is None:
            raise NotFound("there is no such kiosk", next_step="Register it first.")
        for sealed in sorted(reports, key=lambda one: one.sequence):
            if not by.is_from(sealed, kiosk.signing):
                raise Forbidden("a report was not signed by the kiosk", next_step="Look after the kiosk.")
            if sealed.sequence < kiosk.reported:
                continue
            if sealed.sequence == kiosk.reported and by.digest(sealed) == kiosk.last_report:
                continue
            if (sealed.sequence, sealed.before) != (kiosk.reported + 1, kiosk.last_report):
                raise EdgeReportsForked(
                    f"report {sealed.sequence} does not follow report {kiosk.reported} of this kiosk",
                    next_step="Send the reports in order; if one is lost, look after the kiosk.",
                )
            report = by.open_report(sealed, secret=secret)
            key = tx.subjects.key(report.subject_id)
            if key is not None and report.evidence:
                row = f"{report.kiosk_id}/{report.sequence}"
                content = on.vault.cipher(key).seal(report.evidence, place=EVIDENCE_PLACE, row=row)
                tx.edge.add_evidence(report, content)
            kiosk = replace(kiosk, reported=sealed.sequence, last_report=by.digest(sealed))
            record(
                tx,
                on=on,
                action="edge.verification",
                actor=kiosk.kiosk_id,
                subject_id=report.subject_id,
                object_id=report.bundle_id,
                outcome=(report.decision.value, report.at.isoformat(timespec="seconds"), *report.reasons),
            )
        tx.edge.update_kiosk(kiosk)
    return kiosk.reported


def check_site(site: str) -> None:
    """Raises InvalidValue."""
    if not _SITE.fullmatch(site):
        raise InvalidValue("a site is named by 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', '~' and '-'")


def _issuer(by: EdgeIssuer | None) -> EdgeIssuer:
    if by is None:
        raise EdgeOff(
            "this service makes no bundles",
            next_step="Set RECON_EDGE_POLICY to the policy under which kiosks may decide by themselves.",
        )
    return by


def _kiosk(found: EdgeKioskRecord | None, site: str) -> EdgeKioskRecord:
    if found is None or found.site != site:
        raise NotFound("the site has no such kiosk", next_step="Register it first.")
    return found


def _service_keys(on: Stores) -> tuple[Signer, bytes]:
    """The signer, and the secret by which reports are opened."""
    signer = service_signer(on=on)
    with on.database.snapshot() as tx:
        key = tx.wrapped_keys.service_key(SIGNING_KEY)
    if key is None:
        raise StorageFault("the signing key of the service is missing")
    return signer, on.vault.derived(key, "edge-reports")


def _written(templates: Sequence[Template], on: Stores) -> tuple[bytes, ...]:
    return tuple(on.template_format.write(one) for one in templates)
