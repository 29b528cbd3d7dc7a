"""Names of settings: which mean something, and what was meant by one that does not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from recon_service.domain.errors import CallerError

PREFIX: Final = "RECON_"
READ_ELSEWHERE: Final = frozenset(
    {
        # The model files.
        "RECON_WEIGHTS_DIR",
        "RECON_WEIGHTS_MIRROR",
        "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS",
        # Those who speak with a service: `recon enroll`, `recon kiosk` and others.
        "RECON_URL",
        "RECON_API_KEY",
        "RECON_KIOSK_RECORDING_KEY_FILE",
        # `make test`.
        "RECON_CHROMIUM",
        "RECON_ICT_SOURCE",
        "RECON_ORBBEC",
        "RECON_TORCH",
        # docker-compose.yml; in a shell or an .env file they meet the commands too.
        "RECON_BIND",
        "RECON_CPU_PROCESSES",
        "RECON_CPU_QUEUES",
        "RECON_GPU",
        "RECON_GRAFANA_BIND",
        "RECON_SECRETS",
        "RECON_TAG",
    }
)
"""Variables that are no settings of the service, and no typos either."""


class SettingsInvalid(CallerError):
    """A setting that does not exist or has a value that cannot be."""

    code = "settings-invalid"
    title = "The settings are not valid"


def refuse_unknown_names(environment: Mapping[str, str], *, known: Sequence[str]) -> None:
    """Raises SettingsInvalid for a RECON_ variable that nobody reads: a typo would otherwise change
    nothing, silently.
    """
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            closest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            # A hundred names hide the one that was meant; without a guess they are all there is to say.
            step = f"Did you mean {closest[0]}?" if closest else f"Known: {', '.join(known)}"
            raise SettingsInvalid(f"there is no setting {name}", next_step=step)
