"""Which services this one exchanges templates with, as the settings say."""

from __future__ import annotations

from pathlib import Path

from recon_service.application.errors import ImportNotSetUp, RecipientNotAllowed
from recon_service.domain.errors import InsecureConfiguration
from recon_service.settings import Settings
from recon_service.storage.exchange_file import ExchangeReader


def allowed_recipient(settings: Settings, recipient: str) -> str:
    """Raises RecipientNotAllowed unless the settings name it."""
    if recipient not in settings.listed_export_recipients:
        raise RecipientNotAllowed(
            "the settings of this service do not name this recipient",
            next_step="Add it to RECON_EXPORT_RECIPIENTS, or export to one that is there.",
        )
    return recipient


def trusted_sources(settings: Settings) -> frozenset[str]:
    """Public keys of services whose templates are taken."""
    return frozenset(word.strip() for word in settings.import_sources.split(",") if word.strip())


def exchange_reader(settings: Settings) -> ExchangeReader:
    """Opens files of templates. Raises ImportNotSetUp, InsecureConfiguration."""
    sources = trusted_sources(settings)
    if settings.import_identity_file is None or not sources:
        raise ImportNotSetUp(
            "the settings name no identity to open files with, or no source to trust",
            next_step="Set RECON_IMPORT_IDENTITY_FILE (`recon templates keygen` makes one) and "
            "RECON_IMPORT_SOURCES.",
        )
    return ExchangeReader(_secret(settings.import_identity_file), sources)


def _secret(file: Path) -> str:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InsecureConfiguration(
            f"the identity file {file} cannot be read", next_step="Make one by `recon templates keygen`."
        ) from fault
    return next((line for line in lines if line.strip() and not line.startswith("#")), "")
