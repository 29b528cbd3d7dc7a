"""Bodies of edge mode, as they are on the wire."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.application.records.edge import EdgeKioskRecord, SealedReport

KIOSK: Final[dict[str, Any]] = {
    "kiosk_id": "kiosk_5f0c3c1e8b1f4c0f9d9a4f5b7a6e1d2c",
    "site": "lobby-3",
    "recipient": "x25519:bm90IGEga2V5LCBidXQgYXMgbG9uZyBhcyBvbmUgaXM=",
    "signing": "ed25519:bm90IGEga2V5LCBidXQgYXMgbG9uZyBhcyBvbmUgaXM=",
    "service": "ed25519:YWxzbyBub3QgYSBrZXksIGJ1dCBhcyBsb25nIGFzIGl0IQ==",
}
REVOCATIONS: Final[dict[str, Any]] = {
    "statement": '{"made_at": "2026-03-04T10:00:00+00:00", "number": 1772618400000, "site": "lobby-3", '
    '"template_ids": ["tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e"]}',
    "signature": "c2lnbmF0dXJl",
    "signer": "ed25519:YWxzbyBub3QgYSBrZXksIGJ1dCBhcyBsb25nIGFzIGl0IQ==",
}
TAKEN: Final[dict[str, Any]] = {"last": 17}


class KioskRequest(Asked):
    """The public keys that a kiosk made: `recon edge keys`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{k: KIOSK[k] for k in ("recipient", "signing")}]},
    )

    recipient: str = Field(
        max_length=100,
        json_schema_extra={"pattern": "^x25519:[A-Za-z0-9+/]{43}=$"},
        description="The kiosk's public key that bundles are sealed for: `x25519:` and base64 of 32 bytes.",
    )
    signing: str = Field(
        max_length=100,
        json_schema_extra={"pattern": "^ed25519:[A-Za-z0-9+/]{43}=$"},
        description="The kiosk's public key that its reports are checked by: `ed25519:` and base64 of 32 "
        "bytes.",
    )


class KioskBody(Body):
    """A kiosk of a site."""

    kiosk_id: str = Field(description="Id of the kiosk, for bundles and reports.")
    site: str = Field(description="Name of the site that it stands at.")
    recipient: str = Field(description="The kiosk's public key that bundles are sealed for.")
    signing: str = Field(description="The kiosk's public key that its reports are checked by.")
    service: str = Field(
        description="The service's public key, by which the kiosk trusts bundles and revocations."
    )


class BundleRequest(Asked):
    """Which kiosk the bundle is for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kiosk_id": KIOSK["kiosk_id"]}]})

    kiosk_id: str = Field(
        max_length=64, description="The kiosk that shall open the bundle, one of this site."
    )


class RevocationsBody(Body):
    """What the kiosks of a site must not use any more, signed."""

    statement: str = Field(
        description="JSON text with `site`, `number` (grows from statement to statement), `made_at` and "
        "`template_ids`."
    )
    signature: str = Field(description="Ed25519 signature of the statement, base64.")
    signer: str = Field(
        description="Public key of the service that signed; a kiosk trusts the one that it was registered "
        "with."
    )


class ReportRequest(Asked):
    """A decision that a kiosk made, sealed for the service."""

    kiosk_id: str = Field(max_length=64, description="The kiosk that decided.")
    sequence: int = Field(
        ge=1, le=2**31 - 1, description="Number of the report: 1 for the kiosk's first, then one more each."
    )
    before: str = Field(
        max_length=64,
        description="SHA-256 of the sealed bytes of the report before, hex; empty for the first.",
    )
    sealed: str = Field(max_length=200_000, description="The report, sealed for the service, base64.")
    signature: str = Field(max_length=200, description="The kiosk's Ed25519 signature of it, base64.")


class ReportsRequest(Asked):
    """Reports of one kiosk, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reports": [
                        {
                            "kiosk_id": KIOSK["kiosk_id"],
                            "sequence": 17,
                            "before": "9f" * 32,
                            "sealed": "c2VhbGVk",
                            "signature": "c2lnbmVk",
                        }
                    ]
                }
            ]
        },
    )

    reports: list[ReportRequest] = Field(
        min_length=1,
        max_length=100,
        description="One or more reports of one kiosk, in the order of their numbers, without gaps.",
    )


class TakenBody(Body):
    """Where the kiosk's reports stand."""

    last: int = Field(
        description="Number of the last report on record; the kiosk may forget its reports up to it."
    )


def kiosk_body(kiosk: EdgeKioskRecord, *, service: str) -> KioskBody:
    """On the wire."""
    return KioskBody(
        kiosk_id=kiosk.kiosk_id,
        site=kiosk.site,
        recipient=kiosk.recipient,
        signing=kiosk.signing,
        service=service,
    )


def sealed_reports(asked: ReportsRequest) -> list[SealedReport]:
    """Raises InvalidValue."""
    from recon_service.edge.statements import read

    return [read(report.model_dump()) for report in asked.reports]
