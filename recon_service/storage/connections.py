"""Refusing connections that would carry biometric data or passwords in the open."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.domain.errors import InsecureConfiguration

OVERRIDE = "or, if the network between is yours alone, set RECON_ALLOW_INSECURE_CONNECTIONS=true"
_TLS_MODES = ("require", "verify-ca", "verify-full")
_S3_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def is_local(host: str) -> bool:
    """Whether a connection to ``host`` stays on this machine; unknown names are taken for remote."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_database_url(url: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raises InsecureConfiguration for a PostgreSQL on another machine without TLS or without a secret.
    environment: where its client looks for what the address does not say.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        return  # is refused where it is opened
    if parsed.get_backend_name() == "sqlite" or all(map(is_local, _hosts(parsed, environment))):
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


def _hosts(url: sa.URL, environment: Mapping[str, str]) -> list[str]:
    """Every machine that the client may connect to: the place in the address is one of several."""

    def named(key: str, variable: str) -> list[str]:
        found = url.query.get(key) or environment.get(variable, "")
        words = found if isinstance(found, tuple) else (found,)
        return [host for word in words for host in word.split(",") if host]

    # With an address of its own, the name is only what the certificate is compared with.
    hosts = named("host", "" if url.host else "PGHOST") or [url.host or ""]
    # What a named service stands for is in a file: it may be anywhere.
    return [_without_port(host) for host in (*hosts, *named("hostaddr", "PGHOSTADDR"))] + [
        f"service {name}" for name in named("service", "PGSERVICE")
    ]


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    bracketed = name.startswith("[") and name.endswith("]")
    return name if port.isdigit() and (bracketed or ":" not in name) else host


def check_broker_url(url: str) -> None:
    """Raises InsecureConfiguration for a Redis on another machine without TLS or without a password; of
    several addresses, for any.
    """
    for address in url.split(";"):
        _check_broker(address)


def _check_broker(url: str) -> None:
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


def check_traces_endpoint(endpoint: str, *, secret: bool) -> None:
    """Raises InsecureConfiguration for a collector of traces on another machine that would be shown a secret
    without TLS. secret: whether headers are sent with them.
    """
    parts = urlsplit(endpoint)
    if endpoint and secret and parts.scheme != "https" and not is_local(parts.hostname or ""):
        raise InsecureConfiguration(
            "RECON_TRACES_HEADERS would go to a collector of traces on another machine in the open",
            next_step=f"Use https://… in RECON_TRACES_ENDPOINT, {OVERRIDE}.",
        )


def check_s3_endpoint(endpoint: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raises InsecureConfiguration for an S3 server on another machine without TLS. Empty: the one that the
    environment names for every client, else Amazon's, with TLS.
    """
    endpoint = endpoint or next((environment[n] for n in _S3_ENDPOINTS if environment.get(n)), "")
    parts = urlsplit(endpoint)
    if endpoint and parts.scheme != "https" and not is_local(parts.hostname or ""):
        raise InsecureConfiguration(
            "the object store is on another machine and its address is not https",
            next_step=f"Use https://… in RECON_S3_ENDPOINT (or AWS_ENDPOINT_URL), {OVERRIDE}.",
        )
