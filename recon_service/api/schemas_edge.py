"""Bodies of edge mode, as they are on the wire."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body
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


class KioskRequest(BaseModel):
    """The public keys that a kiosk made: `recon edge keys`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{k: KIOSK[k] for k in ("recipient", "signing")}]},
    )

    recipient: str = Field(max_length=100, description="Bundles are sealed for it: `x25519:` and base64.")
    signing: str = Field(max_length=100, description="Reports are signed by it: `ed25519:` and base64.")


class KioskBody(Body):
    """A kiosk of a site."""

    kiosk_id: str
    site: str
    recipient: str
    signing: str
    service: str = Field(description="Public key that the kiosk trusts bundles and revocations by.")


class BundleRequest(BaseModel):
    """Which kiosk the bundle is for."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"kiosk_id": KIOSK["kiosk_id"]}]}
    )

    kiosk_id: str = Field(max_length=64)


class RevocationsBody(Body):
    """What the kiosks of a site must not use any more, signed."""

    statement: str = Field(description="JSON: site, number, made_at, template_ids.")
    signature: str
    signer: str


class ReportRequest(BaseModel):
    """A decision that a kiosk made, sealed for the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kiosk_id: str = Field(max_length=64)
    sequence: int = Field(ge=1, le=2**31 - 1)
    before: str = Field(max_length=64, description="SHA-256 of the sealed bytes of the report before, hex.")
    sealed: str = Field(max_length=200_000)
    signature: str = Field(max_length=200)


class ReportsRequest(BaseModel):
    """Reports of one kiosk, in order."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
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

    reports: list[ReportRequest] = Field(min_length=1, max_length=100)


class TakenBody(Body):
    """Where the kiosk's reports stand."""

    last: int = Field(description="Number of the last report on record; the kiosk may forget up to it.")


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
