"""The composition root: settings in, the parts of the service out. Everything heavy is imported when it is
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from recon_service.application.enrollments import JobPolicy
from recon_service.application.ports import Stores
from recon_service.domain.errors import StorageFault
from recon_service.settings import Settings
from recon_service.storage.database import SqlDatabase, open_engine
from recon_service.storage.folder_store import FolderObjectStore
from recon_service.storage.master_key import Origin, load_master_key
from recon_service.storage.schema import migrate
from recon_service.storage.template_format import BinaryTemplateFormat
from recon_service.storage.vault import SubjectVault

if TYPE_CHECKING:
    from recon_service.application.local_compute import LocalCompute
    from recon_service.application.pipeline import FacePipeline

SILENCE_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class OpenStores:
    """The stores, ready for use, and where their master key came from."""

    stores: Stores
    database: SqlDatabase
    master_key_origin: Origin

    def close(self) -> None:
        """Give back the connections."""
        self.database.close()


def open_stores(settings: Settings) -> OpenStores:
    """Open database (brought to the newest schema), objects and vault. Raises StorageFault,
    InsecureConfiguration.
    """
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageFault(
            f"the state folder {settings.state_dir} cannot be made",
            next_step="Choose another with RECON_STATE_DIR.",
        ) from fault
    master = load_master_key(
        value=settings.master_key.get_secret_value() if settings.master_key else None,
        file=settings.master_key_file,
        state_dir=settings.state_dir,
    )
    engine = open_engine(settings.resolved_database_url)
    migrate(engine)
    database = SqlDatabase(engine)
    stores = Stores(
        database=database,
        objects=FolderObjectStore(settings.resolved_objects_dir),
        vault=SubjectVault(master.key),
        template_format=BinaryTemplateFormat(),
    )
    return OpenStores(stores, database, master.origin)


def job_policy(settings: Settings) -> JobPolicy:
    """How often an enrollment is tried, and when its worker is taken for dead."""
    return JobPolicy(
        attempts=settings.job_attempts,
        silence=timedelta(seconds=settings.enrollment_seconds + SILENCE_MARGIN_S),
    )


def build_pipeline(settings: Settings) -> FacePipeline:
    """Load detector, landmarks and models. Raises WeightsUnavailable with the command that mends it."""
    from recon_service import assembly
    from recon_service.imaging import ImageLimits

    pipeline = assembly.build_pipeline(assembly.ModelChoice(settings.model), appearance=settings.appearance)
    return replace(pipeline, image_limits=ImageLimits(max_bytes=settings.max_selfie_bytes))


def build_compute(settings: Settings) -> LocalCompute:
    """The heavy part of the use cases, for this process."""
    from recon_service.application.local_compute import LocalCompute
    from recon_service.comparison.policy import PROVISIONAL
    from recon_service.rendering.export import mesh_bytes

    return LocalCompute(build_pipeline(settings), PROVISIONAL, lambda mesh: mesh_bytes(mesh, "glb"))
