"""What the settings say of jobs, batches, webhooks, consents, and how long what nobody uses is kept."""

from __future__ import annotations

from datetime import timedelta

from recon_service.application.enrolling.consents import ConsentPolicy
from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.housekeeping import Retention
from recon_service.application.notifying.webhooks import WebhookPolicy
from recon_service.application.reenrolling.batch_items import ItemPolicy
from recon_service.application.reenrolling.batch_retention import BatchRetention
from recon_service.application.reenrolling.batch_runs import RunnerPolicy
from recon_service.settings import Settings


def job_policy(settings: Settings) -> JobPolicy:
    """How often an enrollment is tried, and when its worker is taken for dead."""
    return JobPolicy(
        attempts=settings.job_attempts,
        silence=timedelta(seconds=settings.job_silence_seconds),
        upload=timedelta(seconds=settings.stale_upload_seconds),
    )


def batch_policy(settings: Settings) -> RunnerPolicy:
    """How batches are worked on."""
    return RunnerPolicy(
        item=ItemPolicy(attempts=settings.job_attempts),
        group=settings.batch_group,
        silence=timedelta(seconds=settings.job_silence_seconds),
        yields_after=timedelta(seconds=settings.batch_yield_seconds),
    )


def consent_policy(settings: Settings) -> ConsentPolicy:
    """How long a consent lasts at most, and when a clock is believed."""
    longest = timedelta(days=settings.consent_max_days) if settings.consent_max_days else None
    return ConsentPolicy(longest=longest, hold=timedelta(minutes=settings.consent_hold_minutes))


def retention(settings: Settings) -> Retention:
    """How long what nobody uses is kept."""
    return Retention(
        dead=timedelta(hours=settings.dead_hours),
        retired=timedelta(days=settings.retired_days),
        replay=timedelta(hours=settings.replay_hours),
        consent=consent_policy(settings),
        probes=timedelta(days=settings.recent_probe_days),
        batches=BatchRetention(
            items=timedelta(days=max(settings.batch_days, settings.retired_days)),
            counts=timedelta(days=settings.batch_count_days) if settings.batch_count_days else None,
        ),
    )


def webhook_policy(settings: Settings) -> WebhookPolicy:
    """How often and how long a delivery is tried."""
    return WebhookPolicy(
        attempts=settings.webhook_attempts, backoff=timedelta(seconds=settings.webhook_backoff_seconds)
    )
