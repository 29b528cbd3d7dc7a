"""Sites, their kiosks and bundles in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from recon_service.application.records.edge import BundleHead, EdgeKioskRecord, EdgeReport
from recon_service.application.records.references import SealedReference
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.edge_tables import (
    edge_bundle_templates,
    edge_bundles,
    edge_evidence,
    edge_kiosks,
    edge_members,
)
from recon_service.storage.references import SEALED, sealed_reference

_k, _m, _b, _c = edge_kiosks.c, edge_members.c, edge_bundles.c, edge_bundle_templates.c
PAGE = 500


class SqlEdgeSites:
    """See ``ports.edge.EdgeSites``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add_kiosk(self, kiosk: EdgeKioskRecord) -> None:
        """Insert."""
        self._connection.execute(sa.insert(edge_kiosks).values(**asdict(kiosk)))

    def kiosk(self, kiosk_id: str, *, lock: bool = False) -> EdgeKioskRecord | None:
        """Revoked or not."""
        query = sa.select(edge_kiosks).where(_k.kiosk_id == kiosk_id)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return EdgeKioskRecord(**row._mapping) if row else None

    def update_kiosk(self, kiosk: EdgeKioskRecord) -> None:
        """All but its keys and its site."""
        changed = {name: getattr(kiosk, name) for name in ("revoked_at", "serial", "reported", "last_report")}
        self._connection.execute(
            sa.update(edge_kiosks).where(_k.kiosk_id == kiosk.kiosk_id).values(**changed)
        )

    def add_member(self, site: str, subject_id: str, *, now: datetime) -> None:
        """Once."""
        ours = (_m.site == site) & (_m.subject_id == subject_id)
        if self._connection.execute(sa.select(_m.site).where(ours)).one_or_none() is None:
            self._connection.execute(
                sa.insert(edge_members).values(site=site, subject_id=subject_id, added_at=now)
            )

    def member_since(self, site: str, subject_id: str) -> datetime | None:
        """When it was added."""
        ours = (_m.site == site) & (_m.subject_id == subject_id)
        added_at: datetime | None = self._connection.scalar(sa.select(_m.added_at).where(ours))
        return added_at

    def remove_member(self, site: str, subject_id: str) -> bool:
        """False: it was none."""
        ours = (_m.site == site) & (_m.subject_id == subject_id)
        return self._connection.execute(sa.delete(edge_members).where(ours)).rowcount > 0

    def references(self, site: str) -> Iterator[SealedReference]:
        """In pages, in the order of their ids."""
        c, last = t.templates.c, ""
        members = sa.select(_m.subject_id).where(_m.site == site)
        while True:
            query = SEALED.where(
                c.state == TemplateState.ACTIVE, c.subject_id.in_(members), c.template_id > last
            )
            rows = self._connection.execute(query.order_by(c.template_id).limit(PAGE)).all()
            yield from (sealed_reference(row) for row in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].template_id

    def add_bundle(self, head: BundleHead, template_ids: list[str]) -> None:
        """With what it holds."""
        names = ("bundle_id", "kiosk_id", "site", "serial", "made_at", "expires_at")
        values = {name: getattr(head, name) for name in names}
        self._connection.execute(sa.insert(edge_bundles).values(**values))
        rows = [{"bundle_id": head.bundle_id, "template_id": one} for one in template_ids]
        if rows:
            self._connection.execute(sa.insert(edge_bundle_templates), rows)

    def revoked(self, site: str, *, now: datetime) -> frozenset[str]:
        """By what is active and a member now."""
        c = t.templates.c
        in_force = (
            sa.select(c.template_id)
            .join(edge_members, _m.subject_id == c.subject_id)
            .where(c.template_id == _c.template_id, c.state == TemplateState.ACTIVE, _m.site == site)
        )
        query = (
            sa.select(_c.template_id)
            .join(edge_bundles, _b.bundle_id == _c.bundle_id)
            .where(_b.site == site, _b.expires_at > now, ~in_force.exists())
        )
        return frozenset(self._connection.scalars(query.distinct()))

    def forget_bundles(self, *, expired_before: datetime) -> int:
        """With what they held."""
        return self._connection.execute(
            sa.delete(edge_bundles).where(_b.expires_at < expired_before)
        ).rowcount

    def add_evidence(self, report: EdgeReport, sealed: bytes) -> None:
        """Insert."""
        self._connection.execute(
            sa.insert(edge_evidence).values(
                kiosk_id=report.kiosk_id,
                sequence=report.sequence,
                subject_id=report.subject_id,
                at=report.at,
                decision=report.decision.value,
                sealed=sealed,
            )
        )
