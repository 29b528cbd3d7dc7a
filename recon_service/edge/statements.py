"""What service and kiosk tell each other beside bundles: revocations, signed by the service; reports,
sealed for the service and signed by the kiosk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from recon_service.application.ports.vault import Signer
from recon_service.application.records.edge import EdgeReport, Revocations, SealedReport
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import Decision
from recon_service.edge.errors import BundleAltered
from recon_service.edge.sealing import Unopened, sealed_for, unsealed
from recon_service.formats.signing import is_signed_by

_REVOCATIONS: Final = b"recon-edge-revocations-1\n"
_REPORT: Final = b"recon-edge-report-1\n"


def write_revocations(revocations: Revocations, *, signer: Signer) -> dict[str, Any]:
    """As JSON: the statement as text, and its signature."""
    text = json.dumps(
        {
            "site": revocations.site,
            "number": revocations.number,
            "made_at": revocations.made_at.isoformat(),
            "template_ids": sorted(revocations.template_ids),
        },
        sort_keys=True,
    )
    signature = signer.sign(_REVOCATIONS + text.encode())
    return {"statement": text, "signature": base64.b64encode(signature).decode(), "signer": signer.public}


def read_revocations(content: dict[str, Any], *, trusted: str) -> Revocations:
    """Raises BundleAltered for what the service did not sign."""
    try:
        text = str(content["statement"])
        signature = base64.b64decode(content["signature"], validate=True)
        if not is_signed_by(trusted, signature, _REVOCATIONS + text.encode()):
            raise ValueError
        facts = json.loads(text)
        made_at = datetime.fromisoformat(facts["made_at"])
        return Revocations(facts["site"], int(facts["number"]), made_at, frozenset(facts["template_ids"]))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise BundleAltered(
            "the revocations were not signed by the service", next_step="Fetch them again."
        ) from None


def seal_report(report: EdgeReport, *, before: str, reports_to: str, signer: Signer) -> SealedReport:
    """Raises InvalidValue for what is no key."""
    facts = asdict(report)
    facts["at"] = report.at.isoformat()
    facts["decision"] = report.decision.value
    facts["evidence"] = base64.b64encode(report.evidence).decode()
    context = _context(report.kiosk_id, report.sequence, before)
    sealed = sealed_for(reports_to, json.dumps(facts, sort_keys=True).encode(), context=context)
    signature = signer.sign(context + hashlib.sha256(sealed).digest())
    return SealedReport(report.kiosk_id, report.sequence, before, sealed, signature)


def is_from(report: SealedReport, signing: str) -> bool:
    """Whether the kiosk with that public key signed it."""
    context = _context(report.kiosk_id, report.sequence, report.before)
    return is_signed_by(signing, report.signature, context + hashlib.sha256(report.sealed).digest())


def open_report(report: SealedReport, *, key: X25519PrivateKey) -> EdgeReport:
    """Raises InvalidValue for what was sealed for somebody else or altered."""
    try:
        context = _context(report.kiosk_id, report.sequence, report.before)
        facts = json.loads(unsealed(key, report.sealed, context=context))
        llr = facts["llr"]
        opened = EdgeReport(
            kiosk_id=str(facts["kiosk_id"]),
            bundle_id=str(facts["bundle_id"]),
            sequence=int(facts["sequence"]),
            at=datetime.fromisoformat(facts["at"]),
            subject_id=str(facts["subject_id"]),
            template_id=str(facts["template_id"]),
            decision=Decision(facts["decision"]),
            llr=float(llr) if llr is not None else None,
            reasons=tuple(str(reason) for reason in facts["reasons"]),
            policy=str(facts["policy"]),
            frames_used=int(facts["frames_used"]),
            evidence=base64.b64decode(facts["evidence"], validate=True),
        )
        if (opened.kiosk_id, opened.sequence) != (report.kiosk_id, report.sequence):
            raise ValueError
        return opened
    except (Unopened, KeyError, TypeError, ValueError, binascii.Error):
        raise InvalidValue(
            "a report cannot be opened", next_step="It was not sealed for this service, or was altered."
        ) from None


def digest_of(report: SealedReport) -> str:
    """What the next report names."""
    return hashlib.sha256(report.sealed).hexdigest()


def written(report: SealedReport) -> dict[str, Any]:
    """As JSON."""
    return {
        "kiosk_id": report.kiosk_id,
        "sequence": report.sequence,
        "before": report.before,
        "sealed": base64.b64encode(report.sealed).decode(),
        "signature": base64.b64encode(report.signature).decode(),
    }


def read(content: dict[str, Any]) -> SealedReport:
    """Raises InvalidValue."""
    try:
        return SealedReport(
            str(content["kiosk_id"]),
            int(content["sequence"]),
            str(content["before"]),
            base64.b64decode(content["sealed"], validate=True),
            base64.b64decode(content["signature"], validate=True),
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise InvalidValue("that is no report of a kiosk") from None


def _context(kiosk_id: str, sequence: int, before: str) -> bytes:
    return _REPORT + json.dumps([kiosk_id, sequence, before]).encode()
