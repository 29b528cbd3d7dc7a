"""The composition root: settings in, the parts of the service out. Everything heavy is imported when it is
asked for.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.objects import ObjectStore
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.webhooks import WebhookSender
from recon_service.application.records.subjects import WrappedKey
from recon_service.domain.errors import Conflict, StorageFault
from recon_service.formats.template_format import BinaryTemplateFormat
from recon_service.setting_names import SettingsInvalid
from recon_service.settings import Settings
from recon_service.storage.connections import (
    check_broker_url,
    check_database_url,
    check_s3_endpoint,
    check_traces_endpoint,
    is_local,
)
from recon_service.storage.database import SqlDatabase
from recon_service.storage.engines import DatabaseLimits, open_engine
from recon_service.storage.folder_store import FolderObjectStore
from recon_service.storage.master_key import Origin, load_accepted_keys, load_master_key
from recon_service.storage.schema import migrate
from recon_service.storage.service_keys import SERVICE
from recon_service.storage.state_lock import StateLock
from recon_service.storage.vault import SubjectVault

if TYPE_CHECKING:
    from recon_service.application.computing.local_compute import LocalCompute
    from recon_service.application.computing.pipeline import FacePipeline
    from recon_service.application.edge.bundles import EdgeIssuer
    from recon_service.application.enrolling.duplicates import DuplicateCheck
    from recon_service.application.searching.identification import Identifier

DIGEST_ROOT: Final = "digest-root"


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
    InsecureConfiguration; Conflict when the schema is an older one and a service runs on it.
    """
    _make_state_folder(settings)
    master = load_master_key(
        value=settings.master_key.get_secret_value() if settings.master_key else None,
        file=settings.master_key_file,
        state_dir=settings.state_dir,
    )
    accepted = load_accepted_keys(
        value=settings.accepted_master_keys.get_secret_value() if settings.accepted_master_keys else None,
        file=settings.accepted_master_keys_file,
    )
    refuse_insecure_connections(settings)
    database = open_database(settings)
    stores = Stores(
        database=database,
        objects=open_objects(settings),
        vault=_vault_of(database, SubjectVault(master.key, accepted=accepted)),
        template_format=BinaryTemplateFormat(),
        clock=database.clock,
    )
    return OpenStores(stores, database, master.origin)


def open_database(settings: Settings) -> SqlDatabase:
    """The database alone, brought to the newest schema. Raises StorageFault, InsecureConfiguration; Conflict
    when the schema is an older one and a service runs on it.
    """
    _make_state_folder(settings)
    engine = open_engine(
        settings.resolved_database_url,
        DatabaseLimits(
            connections=settings.database_connections,
            statement=settings.database_statement_seconds,
            lock=settings.database_lock_seconds,
        ),
    )
    # The one who is alone with a state folder: a command of a newer version must not change what it reads.
    migrate(engine, alone=StateLock(settings.state_dir).held() if settings.embedded else None)
    return SqlDatabase(engine)


def _make_state_folder(settings: Settings) -> None:
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageFault(
            f"the state folder {settings.state_dir} cannot be made",
            next_step="Choose another with RECON_STATE_DIR.",
        ) from fault


def _vault_of(database: SqlDatabase, vault: SubjectVault) -> SubjectVault:
    """The vault with the secret of the digests that this database keeps, made by the first process."""
    with database.snapshot() as tx:
        root = tx.wrapped_keys.service_key(DIGEST_ROOT)
    if root is not None and root.master_key_id not in vault.accepted_master_key_ids:
        root = _replaced_root(database, vault) or root
    if root is None:
        root = vault.new_key(SERVICE)
        try:
            with database.transaction() as tx:
                tx.wrapped_keys.add_service_key(DIGEST_ROOT, root)
        except Conflict:  # another process was first
            with database.snapshot() as tx:
                root = tx.wrapped_keys.service_key(DIGEST_ROOT) or root
    return vault.with_digest_root(root)


def _replaced_root(database: SqlDatabase, vault: SubjectVault) -> WrappedKey | None:
    """Another secret, where nothing stands on the old one: a first start with the development key that was
    refused leaves such a database.
    """
    with database.transaction() as tx:
        head = tx.audit.head(lock=True)
        if head is None or head.sequence or sum(tx.wrapped_keys.count_by_master().values()) > 1:
            return None
        root = vault.new_key(SERVICE)
        tx.wrapped_keys.remove_service_key(DIGEST_ROOT)
        tx.wrapped_keys.add_service_key(DIGEST_ROOT, root)
        return root


def refuse_insecure_connections(settings: Settings) -> None:
    """Raises InsecureConfiguration for connections to other machines in the open, unless that is allowed."""
    if not settings.allow_insecure_connections:
        check_database_url(settings.resolved_database_url)
        check_broker_url(settings.broker_url)
        check_s3_endpoint(settings.s3_endpoint)
        check_traces_endpoint(settings.traces_endpoint, secret=settings.traces_headers is not None)


def open_objects(settings: Settings) -> ObjectStore:
    """The folder, or the bucket that RECON_OBJECT_STORE names."""
    if not settings.object_store.startswith("s3:"):
        return FolderObjectStore(settings.resolved_objects_dir)
    from recon_service.storage.s3_store import S3Address, S3ObjectStore

    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else ""
    address = S3Address.parse(
        settings.object_store,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=secret,
    )
    store = S3ObjectStore(address, guarded=not settings.allow_insecure_connections)
    if not settings.allow_insecure_connections:
        # Should it not answer at the moment, the service starts all the same, and asks before it stores.
        with contextlib.suppress(StorageUnavailable):
            store.refuse_if_public()
    return store


def webhook_sender(settings: Settings) -> WebhookSender:
    """The way out to webhooks. Raises WebhookAddressRefused for a bad list of networks."""
    from recon_service.webhooks.addresses import LOOPBACK, parse_networks
    from recon_service.webhooks.sender import HttpWebhookSender

    allowed = parse_networks(settings.webhook_networks)
    if settings.embedded and is_local(settings.host):  # for development: nobody else can reach the service
        allowed = (*allowed, *LOOPBACK)
    return HttpWebhookSender(allowed=allowed, limit_s=settings.webhook_seconds)


def build_pipeline(settings: Settings) -> FacePipeline:
    """Load detector, landmarks and models. Raises WeightsUnavailable with the command that mends it."""
    from recon_service import assembly
    from recon_service.backends import backends_of
    from recon_service.imaging import ImageLimits

    pipeline = assembly.build_pipeline(
        assembly.ModelChoice(settings.model),
        appearance=settings.appearance,
        matching=assembly.MatchingDevice(settings.matching_device),
        detector=settings.detector,
    )
    return replace(
        pipeline,
        image_limits=ImageLimits(max_bytes=settings.max_selfie_bytes),
        reconstructors=backends_of(settings),
        picture_networks=assembly.load_picture_networks() if settings.picture_check else (),
    )


def open_identifier(settings: Settings, opened: OpenStores) -> Identifier | None:
    """The search among all references; None where it is switched off. Raises SettingsInvalid,
    WeightsUnavailable, PgvectorMissing.
    """
    if settings.identification == "off":
        if settings.duplicate_check != "off":
            raise SettingsInvalid(
                "RECON_DUPLICATE_CHECK searches among all who are enrolled, which is switched off",
                next_step="Set RECON_IDENTIFICATION to memory or pgvector.",
            )
        return None
    from recon_service import assembly
    from recon_service.application.searching.identification import Identifier
    from recon_service.comparison.calibration_file import load_calibration, released_for

    model = assembly.load_model(assembly.ModelChoice(settings.model))
    calibration = load_calibration(released_for(model.name))
    if settings.identification == "pgvector":
        from recon_service.search.pgvector.index import PgvectorIndex

        return Identifier(PgvectorIndex(opened.stores, opened.database.engine, calibration), calibration)
    from recon_service.search.memory_index import MemoryIndex

    return Identifier(MemoryIndex(opened.stores, calibration), calibration)


def open_edge(settings: Settings) -> EdgeIssuer | None:
    """What bundles for kiosks are made of; None where none are made. Raises InvalidValue, PolicyUnsupported,
    WeightsUnavailable.
    """
    if not settings.edge_policy:
        return None
    from recon_service import assembly
    from recon_service.application.edge.bundles import EdgeIssuer
    from recon_service.application.records.edge import EdgeTerms
    from recon_service.comparison.calibration_file import load_calibration, released_for
    from recon_service.comparison.policies import activated
    from recon_service.edge.format import HpkeEdgeFormat

    model = assembly.load_model(assembly.ModelChoice(settings.model))
    path = released_for(model.name)
    calibration = load_calibration(path)
    policy = activated(settings.edge_policy, calibration)
    terms = EdgeTerms(
        policy=policy.name,
        match_above=policy.match_above,
        no_match_below=policy.no_match_below,
        requires=policy.requires,
        may_use=policy.may_use,
        least_frames=policy.least_frames,
        match_on_general=policy.match_on_general,
        most_failures=settings.edge_failures,
        evidence=settings.edge_evidence,
    )
    return EdgeIssuer(
        terms,
        (path.read_bytes(), path.with_suffix(".npz").read_bytes()),
        calibration.identity,
        model.space,
        model.name,
        timedelta(hours=settings.edge_bundle_hours),
        HpkeEdgeFormat(),
    )


def open_duplicate_check(settings: Settings, identifier: Identifier | None) -> DuplicateCheck | None:
    """What enrollments ask before they end; None where that is switched off."""
    if identifier is None or settings.duplicate_check == "off":
        return None
    from recon_service.application.enrolling.duplicates import DuplicateCheck

    return DuplicateCheck(identifier, settings.duplicate_llr, hold=settings.duplicate_check == "hold")


def build_compute(settings: Settings) -> LocalCompute:
    """The heavy part of the use cases, for this process."""
    from recon_service.application.computing.local_compute import LocalCompute
    from recon_service.comparison.policies import activated
    from recon_service.evaluated_versions import EvaluatedVersions, rebuilt_pipeline
    from recon_service.rendering.export import mesh_bytes
    from recon_service.rendering.overlay import fit_overlay
    from recon_service.rendering.views import three_views
    from recon_service.standing import models_in_force

    pipeline = build_pipeline(settings)
    policy = activated(settings.policy, pipeline.calibration)
    return LocalCompute(
        pipeline,
        policy,
        lambda mesh: mesh_bytes(mesh, "glb"),
        three_views,
        fit_overlay,
        in_force=models_in_force,
        evaluations=EvaluatedVersions(settings, partial(rebuilt_pipeline, settings)),
    )
