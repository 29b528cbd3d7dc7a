"""What can be seen of the running service: logs, metrics, traces. Nothing biometric in any of them."""

from recon_service.telemetry.logs import configure_logging

__all__ = ["configure_logging"]
