"""The token in the address of a kiosk's page: whoever knows it sees the page."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from recon_service.domain.errors import InvalidValue

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,100}")


def new_token() -> str:
    """At random."""
    return secrets.token_urlsafe(16)


def kept_token(file: Path) -> str:
    """The one in a file for its owner alone, which is made where there is none: with it the address is the
    same when the program is started again, and a browser that shows it finds the page.

    Raises InvalidValue.
    """
    try:
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(new_token() + "\n")
        token = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as fault:
        raise InvalidValue(
            f"{file} cannot be read or made ({fault.strerror})",
            next_step="Name a file in a folder of the kiosk's user.",
        ) from None
    if not _TOKEN.fullmatch(token):
        raise InvalidValue(f"{file} holds no token", next_step="Remove it: the next start makes a new one.")
    return token
