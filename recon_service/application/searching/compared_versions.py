"""Which version a search holds a probe against, for each template in force: that one, or where the
calibration cannot compare it the version that a verification would take instead (``templates.lineage``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import SealedReference
from recon_service.application.records.templates import VersionHead
from recon_service.application.templates.lineage import former_versions
from recon_service.application.templates.sealing import TEMPLATE_PLACE
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.strengthening_parts import require_comparable
from recon_service.domain.errors import ModelMismatch, StorageFault
from recon_service.domain.template import Template


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """template_id: of the template in force. version: it, or the former one that is compared in its place."""

    template_id: str
    version: Template

    @property
    def former(self) -> bool:
        """Whether it is not the one in force."""
        return self.version.template_id != self.template_id


@dataclass(frozen=True, slots=True)
class OpenedVersions:
    """unreadable: ids of the templates that could not be opened, and are not among the versions."""

    versions: tuple[ComparedVersion, ...]
    unreadable: tuple[str, ...]


def compared_versions(
    in_force: Sequence[SealedReference], calibration: Calibration, *, on: Stores, tx: Transaction
) -> OpenedVersions:
    """One version of each, in their order. Where no version can be compared, it is the one in force; where
    that cannot be opened, there is none.
    """
    found: dict[str, ComparedVersion] = {}
    waiting, unreadable = [], []
    for reference in in_force:
        try:
            template = open_reference(reference, on=on)
        except StorageUnavailable:
            raise  # it can be opened a little later
        except StorageFault:
            unreadable.append(reference.template_id)
            continue
        found[template.template_id] = ComparedVersion(template.template_id, template)
        if not comparable(template, calibration):
            waiting.append(template)
    if waiting:
        found.update((one.template_id, one) for one in _stand_ins(waiting, calibration, on=on, tx=tx))
    return OpenedVersions(tuple(found.values()), tuple(unreadable))


def comparable(template: Template, calibration: Calibration) -> bool:
    """As a verification finds out before it looks at a frame."""
    try:
        require_comparable(template, calibration)
    except ModelMismatch:
        return False
    return True


def open_reference(reference: SealedReference, *, on: Stores) -> Template:
    """Decrypted. Raises StorageFault."""
    content = on.vault.cipher(reference.key).open(
        reference.sealed, place=TEMPLATE_PLACE, row=reference.template_id
    )
    template = on.template_format.read(content)
    if (template.template_id, template.subject_id) != (reference.template_id, reference.key.subject_id):
        raise StorageFault("a stored template does not belong to its row")
    return template


def _stand_ins(
    templates: Sequence[Template], calibration: Calibration, *, on: Stores, tx: Transaction
) -> Iterator[ComparedVersion]:
    """For those of the templates in force that have one. All of them at once, a step of their chains at a
    time: few have more than one.
    """
    versions: dict[str, list[VersionHead]] = defaultdict(list)
    for version in tx.references.versions([template.subject_id for template in templates]):
        versions[version.subject_id].append(version)
    chains = {
        template.template_id: former_versions(template.template_id, versions[template.subject_id])[::-1]
        for template in templates
    }
    while chains := {template_id: chain for template_id, chain in chains.items() if chain}:
        stands_for = {chain.pop().template_id: template_id for template_id, chain in chains.items()}
        for reference in tx.references.former(list(stands_for)):
            template_id = stands_for[reference.template_id]
            try:
                former = open_reference(reference, on=on)
            except StorageFault:
                del chains[template_id]  # as a verification: it looks no further
                continue
            if comparable(former, calibration):
                del chains[template_id]
                yield ComparedVersion(template_id, former)
