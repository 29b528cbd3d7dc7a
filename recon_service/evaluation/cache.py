"""Observations kept between runs, by content: the same sample under the same code is not looked at twice.

The files hold identity posteriors, that is biometric data of the dataset's people: the folder is closed to
other users, and deleting it loses nothing but time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior

if TYPE_CHECKING:
    from recon_service.evaluation.observing import Observation

NOTICE = """The files in this folder are 3D identities of the people of evaluated datasets: biometric data.
They save time when an evaluation runs again; delete the folder whenever you like.
"""


@dataclass(frozen=True, slots=True)
class ObservationCache:
    """A folder of observations."""

    folder: Path

    @classmethod
    def opened(cls, folder: Path) -> ObservationCache:
        """The folder, made if missing; only its owner may enter it."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            (folder / "README").write_text(NOTICE)
        except OSError as fault:
            raise InvalidValue(
                f"the cache folder cannot be used: {fault.strerror}",
                next_step="Name another with --cache FOLDER.",
            ) from fault
        return cls(folder)

    def get(self, key: str) -> Observation | None:
        """The observation under this key; None if there is none, or one that cannot be read."""
        # Imported here: it brings the whole pipeline along, of which the detector benchmark's many processes
        # want nothing.
        from recon_service.evaluation.observing import Observation

        try:
            # Opened here: numpy leaves a file open that is no archive.
            with self._path(key).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                posterior = None
                if "mean" in file:
                    posterior = IdentityPosterior(facts["space"], file["mean"], file["covariance"])
                seen = facts.get("appearance")
                return Observation(
                    posterior,
                    facts["source"],
                    facts["used"],
                    tuple(facts["faults"]),
                    facts["seconds"],
                    None if seen is None else _appearance(seen, file["appearance"]),
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, InvalidValue):
            return None

    def put(self, key: str, observation: Observation) -> None:
        """Keep an observation. A reader sees all of it or nothing, also if the process is killed."""
        facts: dict[str, Any] = {
            "source": observation.source,
            "used": observation.used,
            "faults": observation.faults,
            "seconds": observation.seconds,
        }
        arrays: dict[str, Any] = {}
        if observation.posterior is not None:
            facts["space"] = observation.posterior.space
            arrays = {"mean": observation.posterior.mean, "covariance": observation.posterior.covariance}
        if (seen := observation.appearance) is not None:
            facts["appearance"] = [seen.embedder, seen.version, seen.light.value, seen.count]
            arrays["appearance"] = seen.mean
        arrays["facts"] = np.array(json.dumps(facts))
        path = self._path(key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        Path(temporary).replace(path)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


def _appearance(facts: list[Any], mean: Array) -> Appearance:
    embedder, version, light, count = facts
    return Appearance(embedder, version, Light(light), mean, count)


def content_key(*parts: str) -> str:
    """A key of everything that an observation depends on."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def default_cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The user's cache folder, as the system has it."""
    environment = os.environ if environment is None else environment
    if chosen := environment.get("XDG_CACHE_HOME"):
        return Path(chosen) / "recon-service" / "evaluation"
    home = Path.home()
    base = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return base / "recon-service" / "evaluation"
