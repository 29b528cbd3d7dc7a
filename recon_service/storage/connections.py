"""Refusing connections that would carry biometric data or passwords in the open."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.domain.errors import InsecureConfiguration

OVERRIDE = "or, if the network between is yours alone, set RECON_ALLOW_INSECURE_CONNECTIONS=true"
_TLS_MODES = ("require", "verify-ca", "verify-full")


def is_local(host: str) -> bool:
    """Whether a connection to ``host`` stays on this machine; unknown names are taken for remote."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_database_url(url: str) -> None:
    """Raises InsecureConfiguration for a PostgreSQL on another machine without TLS or without a secret."""
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        return  # is refused where it is opened
    if parsed.get_backend_name() == "sqlite" or is_local(parsed.host or ""):
        return
    if parsed.query.get("sslmode") not in _TLS_MODES:
        raise InsecureConfiguration(
            "the database is on another machine and its address asks for no encryption",
            next_step=f"Add ?sslmode=verify-full to RECON_DATABASE_URL, {OVERRIDE}.",
        )
    if not parsed.password and "passfile" not in parsed.query and "sslcert" not in parsed.query:
        raise InsecureConfiguration(
            "the database is on another machine and its address holds no password or certificate",
            next_step=f"Give the user a password, or ?sslcert=…&sslkey=…, {OVERRIDE}.",
        )


def check_broker_url(url: str) -> None:
    """Raises InsecureConfiguration for a Redis on another machine without TLS or without a password."""
    parts = urlsplit(url)
    if parts.scheme == "memory" or is_local(parts.hostname or ""):
        return
    checks = parse_qs(parts.query).get("ssl_cert_reqs", ["required"])
    if parts.scheme != "rediss" or not all("required" in c.lower() for c in checks):
        raise InsecureConfiguration(
            "the broker is on another machine and its address asks for no verified encryption",
            next_step=f"Use rediss://…?ssl_cert_reqs=required in RECON_BROKER_URL, {OVERRIDE}.",
        )
    if not parts.password:
        raise InsecureConfiguration(
            "the broker is on another machine and its address holds no password",
            next_step=f"Set requirepass or an ACL user in Redis, {OVERRIDE}.",
        )


def check_s3_endpoint(endpoint: str) -> None:
    """Raises InsecureConfiguration for an S3 server on another machine without TLS. Empty: Amazon's, with."""
    parts = urlsplit(endpoint)
    if endpoint and parts.scheme != "https" and not is_local(parts.hostname or ""):
        raise InsecureConfiguration(
            "the object store is on another machine and its address is not https",
            next_step=f"Use https://… in RECON_S3_ENDPOINT, {OVERRIDE}.",
        )
