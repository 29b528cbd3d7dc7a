from __future__ import annotations

import pytest

from recon_service.domain.errors import InsecureConfiguration
from recon_service.storage.connections import check_broker_url, check_database_url, check_s3_endpoint


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/recon.sqlite3",
        "postgresql://recon@localhost/recon",
        "postgresql://recon@127.0.0.1:5433/recon",
        "postgresql://recon@/recon?host=/run/postgresql",
        "postgresql://recon:p@db.example/recon?sslmode=verify-full",
        "postgresql+psycopg://recon@db.example/recon?sslmode=verify-full&sslcert=a&sslkey=b",
    ],
)
def test_databases_that_are_safe(url: str) -> None:
    check_database_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://recon:p@db.example/recon",
        "postgresql://recon:p@db.example/recon?sslmode=prefer",
        "postgresql://recon@10.0.0.7/recon?sslmode=require",
    ],
)
def test_databases_that_are_not(url: str) -> None:
    with pytest.raises(InsecureConfiguration) as caught:
        check_database_url(url)
    assert ":p@" not in str(caught.value)


@pytest.mark.parametrize("url", ["memory://", "redis://localhost:6379/0", "rediss://:p@redis.example/0"])
def test_brokers_that_are_safe(url: str) -> None:
    check_broker_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p@redis.example/0",
        "rediss://redis.example/0",
        "rediss://:p@redis.example/0?ssl_cert_reqs=CERT_NONE",
        "rediss://:p@redis.example/0?ssl_cert_reqs=none",
        "amqp://guest:guest@rabbit.example//",
    ],
)
def test_brokers_that_are_not(url: str) -> None:
    with pytest.raises(InsecureConfiguration):
        check_broker_url(url)


def test_object_stores_beyond_this_machine_need_https() -> None:
    for endpoint in ("", "https://s3.example", "http://127.0.0.1:9000", "http://[::1]:9000"):
        check_s3_endpoint(endpoint)
    with pytest.raises(InsecureConfiguration):
        check_s3_endpoint("http://s3.example")
