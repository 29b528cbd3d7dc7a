"""Where the master key comes from: the environment, a file, or, for development, a file made at the first
start.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from recon_service.domain.errors import InsecureConfiguration
from recon_service.storage.vault import KEY_BYTES, MasterKey

DEVELOPMENT_FILE = "development-master.key"
_MAKE_ONE = "Make one with: openssl rand -base64 32"


class Origin(StrEnum):
    """Who answers for the key."""

    CONFIGURED = "configured"
    DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class LoadedMasterKey:
    """The key and its origin; a development key lies beside the data it protects."""

    key: MasterKey
    origin: Origin


def load_master_key(*, value: str | None, file: Path | None, state_dir: Path) -> LoadedMasterKey:
    """The key from ``value``, else from ``file``, else from the state folder, where it is made if need be.

    Raises InsecureConfiguration for a key that is no key, or a development key that others may read.
    """
    if value is not None:
        return LoadedMasterKey(parse_master_key(value, "RECON_MASTER_KEY"), Origin.CONFIGURED)
    if file is not None:
        return LoadedMasterKey(parse_master_key(_read(file), "RECON_MASTER_KEY_FILE"), Origin.CONFIGURED)
    return LoadedMasterKey(_development_key(state_dir / DEVELOPMENT_FILE), Origin.DEVELOPMENT)


def load_accepted_keys(*, value: str | None, file: Path | None) -> tuple[MasterKey, ...]:
    """Other master keys, one per line or comma: those of before a rotation, or the next one. Raises
    InsecureConfiguration.
    """
    name = "RECON_ACCEPTED_MASTER_KEYS" if value is not None else "RECON_ACCEPTED_MASTER_KEYS_FILE"
    text = value if value is not None else _read(file) if file is not None else ""
    return tuple(parse_master_key(line, name) for line in text.replace(",", "\n").split("\n") if line.strip())


def parse_master_key(text: str, name: str) -> MasterKey:
    """32 bytes as hex or base64. Raises InsecureConfiguration, without the text."""
    text = text.strip()
    try:
        key = (
            bytes.fromhex(text)
            if len(text) == 2 * KEY_BYTES
            else base64.b64decode(text.translate(_URL_SAFE), validate=True)
        )
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES or len(set(key)) < 8:
        raise InsecureConfiguration(
            f"{name} does not hold 32 random bytes as base64 or hex", next_step=_MAKE_ONE
        )
    return MasterKey(key)


_URL_SAFE = str.maketrans("-_", "+/")


def _development_key(path: Path) -> MasterKey:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise InsecureConfiguration(
                f"the development master key {path} can be read by others", next_step=f"Run: chmod 600 {path}"
            ) from None
        return parse_master_key(_read(path), path.name)
    key = os.urandom(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(descriptor)
    return MasterKey(key)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as fault:
        raise InsecureConfiguration(
            f"the file of master keys {path} cannot be read", next_step=_MAKE_ONE
        ) from fault
