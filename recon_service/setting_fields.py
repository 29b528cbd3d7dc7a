"""Every setting of the service: its type, its default, and what it means."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from recon_service.setting_names import PREFIX


def default_state_dir() -> Path:
    """``var/recon`` of the checkout; for an installed package, the user's state folder."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "var" / "recon"
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "recon-service"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "recon-service" / "state"
    return Path.home() / ".local" / "state" / "recon-service"


class SettingFields(BaseSettings):
    """What can be set, each by the environment variable ``RECON_`` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    state_dir: Path = Field(
        default_factory=default_state_dir, description="Folder of the embedded database, objects and keys."
    )
    database_url: str = Field(
        "", repr=False, description="postgresql:// or sqlite:// address; empty: SQLite in the state folder."
    )
    database_connections: int = Field(10, ge=1, le=200, description="Of one process, at most.")
    database_statement_seconds: float = Field(30.0, gt=0, description="Time limit of one statement.")
    database_lock_seconds: float = Field(10.0, gt=0, description="Time limit of the wait for a row.")
    object_store: str = Field(
        "", description="s3://bucket/prefix or a folder; empty: a folder in the state folder."
    )
    s3_endpoint: str = Field("", description="Address of an S3 server that is not Amazon's.")
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    s3_access_key: str = Field("", repr=False, description="Empty: as boto3 finds it (AWS_…, role).")
    s3_secret_key: SecretStr | None = Field(None, description="Secret that belongs to s3_access_key.")
    broker_url: str = Field(
        "memory://",
        repr=False,
        description="redis:// or rediss:// address; memory:// runs the worker inside the service.",
    )
    allow_insecure_connections: bool = Field(
        False, description="Allow database, broker or objects beyond this machine without TLS or password."
    )
    master_key: SecretStr | None = Field(None, description="Master key: 32 bytes as base64 or hex.")
    master_key_file: Path | None = Field(None, description="File that holds the master key.")
    accepted_master_keys: SecretStr | None = Field(
        None, description="Other master keys, separated by commas, while the master key is being rotated."
    )
    accepted_master_keys_file: Path | None = Field(None, description="The same in a file, one per line.")
    requests_per_minute: int = Field(6000, ge=0, description="Of one API key, over all processes; 0: any.")
    lockout_subject_failures: int = Field(
        10, ge=0, description="Verifications of a subject without a match until it is locked; 0: never."
    )
    lockout_key_failures: int = Field(
        100, ge=0, description="Verifications of an API key without a match until it is locked; 0: never."
    )
    lockout_identification_failures: int = Field(
        100, ge=0, description="Searches of an API key that name nobody until it may not search; 0: never."
    )
    lockout_window_seconds: float = Field(900.0, gt=0, description="Within which those are counted.")
    lockout_seconds: float = Field(900.0, gt=0, description="How long a lock-out lasts.")
    strengthenings_per_day: int = Field(
        1,
        ge=0,
        le=24,
        description="How often visits may strengthen a template, where the policy does; 0: never.",
    )
    consent_max_days: float = Field(
        0.0, ge=0, description="How long a consent lasts at most, whatever it says; 0: as it says."
    )
    consent_hold_minutes: float = Field(
        60.0,
        ge=0,
        description="How long a process's clock must have run evenly before it destroys what has no consent "
        "any more.",
    )
    kiosk_sessions: Literal["auto", "required", "optional"] = Field(
        "auto",
        description="Whether a verification needs a kiosk session with its nonce; auto: with a broker of its "
        "own (production), yes; embedded, no.",
    )
    kiosk_session_seconds: float = Field(120.0, gt=0, le=3600, description="How long a session lasts.")
    replay_hours: float = Field(
        24.0, ge=0, description="How long digests of depth frames are kept, to refuse them in other visits."
    )
    client_certificate_header: str = Field(
        "",
        max_length=64,
        description="Header by which the proxy passes on the fingerprint of a client's certificate; sessions "
        "are bound to it. Set it only where the proxy overwrites it.",
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8460, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    tls_certificate_file: Path | None = Field(
        None, description="Certificates (PEM) with which the service speaks TLS itself; unset: a proxy does."
    )
    tls_key_file: Path | None = Field(None, description="Its private key (PEM).")
    tls_client_authority_file: Path | None = Field(
        None, description="Authorities (PEM) whose client certificates are asked for; unset: none are."
    )

    model: Literal["auto", "builtin", "dense"] = Field(
        "auto", description="auto: dense where its file is there."
    )
    detector: str = Field(
        "mediapipe",
        description="Detector that finds the faces (recon bench detectors --list); FaceMesh is laid on them.",
    )
    identification: Literal["off", "memory", "pgvector"] = Field(
        "off",
        description="Whether people may be searched for among all who are enrolled, and where the index is: "
        "in the memory of each process, or in PostgreSQL with pgvector, where its vectors are not encrypted.",
    )
    duplicate_check: Literal["off", "report", "hold"] = Field(
        "off",
        description="Whether an enrollment looks for the person among all others: report tells operations, "
        "hold also keeps the template out of force until they activate it.",
    )
    duplicate_llr: float = Field(
        2.0, ge=-20, le=100, description="Log-likelihood ratio from which another subject is such a finding."
    )
    policy: str = Field(
        "pilot-1", description="How scores become decisions (recon_service/comparison/policies.toml)."
    )
    appearance: str = Field(
        "auto",
        description="Network for appearance: auto (EdgeFace xs where it is there and allowed), off, "
        "edgeface-xs, edgeface-xxs, or the path of an ONNX file.",
    )
    picture_check: bool = Field(
        False,
        description="Networks (MiniFASNet) look for prints and screens in the kiosk's color pictures too.",
    )
    matching_device: Literal["cpu", "auto", "cuda"] = Field(
        "cpu",
        description="Where the skin of selfies is matched: cpu, cuda (needs torch), or auto (cuda where "
        "there is one).",
    )
    compute_processes: int = Field(
        1, ge=0, le=64, description="Processes for verification; 0: a thread of the service."
    )
    child_memory_mb: int = Field(
        2048,
        ge=0,
        description="Memory of a compute process beyond its loaded models; 0: any. Linux, without matching "
        "on a graphics processor.",
    )
    enrollment_processes: int = Field(
        1, ge=0, le=64, description="Processes of one worker for enrollments; 0: a thread."
    )
    enrollment_niceness: int = Field(
        10, ge=0, le=19, description="How far enrollments stand back for verifications on the same machine."
    )
    network_process: bool = Field(
        False,
        description="One process of the worker runs the reconstruction networks for all its enrollments, in "
        "batches, on a GPU where there is one; else each compute process runs its own, on the CPU.",
    )
    network_socket: Path | None = Field(
        None, description="Where that process listens; unset: in a folder of its own under the system's."
    )
    network_device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where it computes; cuda: nowhere else."
    )
    network_batch: int = Field(64, ge=1, le=4096, description="Crops or pictures of a batch, at most.")
    network_delay_ms: float = Field(
        4.0, ge=0, le=1000, description="How long the first of a batch waits for others."
    )
    network_half: bool = Field(
        False, description="Half precision, which is outside of the tolerances (docs/adr/0102)."
    )
    network_threads: int = Field(1, ge=1, le=256, description="Of one network on the CPU.")
    verification_seconds: float = Field(
        10.0, gt=0, description="Time limit of a verification or quality check."
    )
    enrollment_seconds: float = Field(120.0, gt=0, description="Time limit of the work of one enrollment.")
    job_attempts: int = Field(3, ge=1, le=100, description="Attempts until an enrollment is given up.")
    job_silence_seconds: float = Field(
        60.0, gt=0, description="A worker without a sign of life for so long is taken for dead."
    )
    queue_budget_seconds: float = Field(
        600.0, gt=0, description="When enrollments have waited longer, new ones are refused (503)."
    )
    stale_upload_seconds: float = Field(
        600.0, gt=0, description="A request that has been storing selfies for so long is taken for dead."
    )
    sweep_seconds: float = Field(10.0, gt=0, description="Time between two looks for lost jobs.")
    dead_hours: float = Field(
        72.0, ge=0, description="How long the selfies of a given-up enrollment are kept for another try."
    )

    batch_processes: int = Field(
        1, ge=0, le=64, description="Processes of one worker for batches of re-enrollment; 0: it takes none."
    )
    batch_group: int = Field(64, ge=1, le=1000, description="Items of a batch under one claim.")
    batch_niceness: int = Field(
        15, ge=0, le=19, description="Of the processes that compute for batches: how far they give way."
    )
    batch_yield_seconds: float = Field(
        0.3, gt=0, description="While an enrollment has waited so long, batches begin nothing."
    )
    evaluation_people: int = Field(
        24, ge=0, le=200, description="Simulated people that batches are evaluated on, where asked; 0: none."
    )
    evaluation_set: Path | None = Field(
        None,
        description="Folder of recordings of real people (docs/evaluation.md) that batches are evaluated on "
        "too; workers read it.",
    )
    edge_policy: str = Field(
        "", description="Policy under which kiosks decide without the service; empty: no bundles are made."
    )
    edge_bundle_hours: float = Field(12.0, gt=0, le=168, description="How long a bundle for a kiosk is good.")
    edge_failures: int = Field(
        5, ge=1, le=100, description="Verifications without a match at a kiosk until it refuses a subject."
    )
    edge_evidence: bool = Field(
        False, description="Kiosks report what they saw too (kept encrypted until the subject is deleted)."
    )
    recent_probes: int = Field(
        3,
        ge=0,
        le=20,
        description="What so many last verifications of a subject saw is kept, encrypted, where its consent "
        "says so (keep_probes), to try new templates on it; 0: nothing ever.",
    )
    recent_probe_days: float = Field(30.0, ge=0, description="For how long.")
    recent_refusals: bool = Field(
        False,
        description="Also of claims that did not match: whom the service refuses wrongly is seen then, but "
        "it may be somebody else who never consented.",
    )
    retired_days: float = Field(
        30.0, ge=0, description="How long the former version of a template can be activated again."
    )
    batch_days: float = Field(
        90.0,
        ge=0,
        description="How long the items of a batch are kept after its end, and never less than it can be "
        "rolled back; then its counts stay.",
    )
    batch_count_days: float = Field(0.0, ge=0, description="How long those are kept after that; 0: for ever.")

    export_recipients: str = Field(
        "", description="Public keys (age1…) that templates may be exported to, separated by commas."
    )
    import_identity_file: Path | None = Field(
        None, description="File with the key that opens files for this service; unset: nothing is imported."
    )
    import_sources: str = Field(
        "", description="Public keys (ed25519:…) of services that templates are taken from, by commas."
    )
    max_import_bytes: int = Field(4_000_000_000, ge=1000, description="Of one file of templates.")

    max_selfie_bytes: int = Field(15_000_000, ge=1000, description="Of one selfie.")
    max_depth_bytes: int = Field(40_000_000, ge=1000, description="Of one depth map or aligned picture.")
    max_request_bytes: int = Field(80_000_000, ge=1000, description="Of one request.")
    upload_seconds: float = Field(60.0, gt=0, description="Time within which a request must have arrived.")

    capture_public_url: str = Field(
        "", description="Address of this service for people's browsers, in the links of capture sessions."
    )
    capture_return_urls: str = Field(
        "", description="Beginnings of addresses that the capture page may go back to, by commas."
    )
    capture_requests_per_minute: int = Field(
        300, ge=0, description="Of one capture session, over all processes; 0: any."
    )

    metrics_port: int = Field(
        0, ge=0, le=65535, description="Where a service or worker answers GET /metrics; 0: nowhere."
    )
    metrics_host: str = Field(
        "127.0.0.1", description="Address of metrics_port; one that others reach needs metrics_token."
    )
    metrics_token: SecretStr | None = Field(None, description="Bearer token that /metrics asks for.")
    metrics_token_file: Path | None = Field(None, description="File that holds the token.")
    traces_endpoint: str = Field(
        "", description="OTLP over HTTP, for example http://localhost:4318/v1/traces; empty: no traces."
    )
    traces_headers: SecretStr | None = Field(None, description="Sent with them: name=value,name=value.")
    traces_ratio: float = Field(1.0, ge=0, le=1, description="Share of the traces that is kept.")
    webhook_networks: str = Field(
        "",
        description="Private networks that webhooks may reach: 10.1.0.0/16,… A service on the loopback "
        "interface, with its worker inside, may reach the loopback interface.",
    )
    webhook_sending: bool = Field(
        True,
        description="Whether this process sends webhooks; false where it has no way out: its attempts would "
        "only use up those of the others.",
    )
    webhook_attempts: int = Field(8, ge=1, le=20, description="Attempts until a delivery is given up.")
    webhook_backoff_seconds: float = Field(
        5.0, gt=0, description="Wait after the first failed delivery; four times as long after each further."
    )
    webhook_seconds: float = Field(10.0, gt=0, le=10, description="Time limit of one delivery.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )
