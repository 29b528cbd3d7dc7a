"""Subjects with a template in force, by the thousand and without an enrollment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import numpy as np
import sqlalchemy as sa

from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.templates import SealedTemplate, TemplateState
from recon_service.application.templates.sealing import TEMPLATE_PLACE
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from recon_service.storage import tables as t
from recon_service.storage.database import SqlDatabase

AT_ONCE = 1000
SOURCE = "selfies-photometric/visible"


def seed_subjects(
    stores: Stores, names: Sequence[str], *, space: str, modes: int, model: str, calibration: str
) -> None:
    """One template each, made a day ago; all of the same size and sealed as any other."""
    rng = np.random.default_rng(7)
    root = rng.normal(size=(modes, modes)) / 20
    posterior = IdentityPosterior(space, rng.normal(size=modes), root @ root.T + 0.2 * np.eye(modes))
    now = utc_now() - timedelta(days=1)
    assert isinstance(stores.database, SqlDatabase)
    for first in range(0, len(names), AT_ONCE):
        some = names[first : first + AT_ONCE]
        keys = [stores.vault.new_key(name) for name in some]
        templates = []
        for name, key in zip(some, keys, strict=True):
            template = Template(
                template_id=new_id("tpl"),
                subject_id=name,
                posterior=posterior,
                source=SOURCE,
                model=model,
                calibration=calibration,
                provenance=(Provenance(SOURCE, "facemesh468", now),) * 5,
                quality=80.0,
                created_at=now,
            )
            content = stores.template_format.write(template)
            sealed = stores.vault.cipher(key).seal(content, place=TEMPLATE_PLACE, row=template.template_id)
            row = SealedTemplate(
                template_id=template.template_id,
                subject_id=name,
                operation_id=None,
                model=model,
                source=SOURCE,
                calibration=calibration,
                quality=80.0,
                created_at=now,
                sealed=sealed,
                state=TemplateState.ACTIVE,
                activated_at=now,
            )
            templates.append(asdict(row))
        with stores.database.engine.begin() as connection:
            subjects = [{"subject_id": name, "created_at": now} for name in some]
            connection.execute(sa.insert(t.subjects), subjects)
            connection.execute(sa.insert(t.subject_keys), [asdict(key) for key in keys])
            connection.execute(sa.insert(t.templates), templates)
