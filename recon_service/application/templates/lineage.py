"""Which versions of a template may stand in for the one in force while templates move from one model to
another: those that it was derived from, if they are still kept. Each was in force before, is the same
person's own, and was replaced by nothing but a derivation of itself. A candidate never does: nobody has
judged it.

Verifications and searches read the same chain; whether a version can be compared is for either to find out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from recon_service.application.records.templates import TemplateOrigin, TemplateState, VersionHead

DERIVED: Final = (TemplateOrigin.REENROLLMENT, TemplateOrigin.STRENGTHENING)
"""What came from the version before it, and from nothing that a person brought."""


def former_versions(template_id: str, versions: Iterable[VersionHead]) -> list[VersionHead]:
    """What this template was derived from, the last first, one of each model and calibration. The chain ends
    at what the person brought, and where a version is gone or was never in force.

    versions: all of one subject.
    """
    left = {version.template_id: version for version in versions}
    version = left.pop(template_id, None)
    seen = {(version.model, version.calibration)} if version else set()
    found = []
    while version is not None and version.origin in DERIVED:
        version = left.pop(version.parent_id or "", None)
        if version is None or version.state is not TemplateState.RETIRED:
            break
        made = version.model, version.calibration
        if made not in seen:
            seen.add(made)
            found.append(version)
    return found
