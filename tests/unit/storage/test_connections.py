from __future__ import annotations

import pytest

from recon_service.domain.errors import InsecureConfiguration
from recon_service.storage.connections import (
    check_broker_url,
    check_database_url,
    check_s3_endpoint,
    check_traces_endpoint,
)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/recon.sqlite3",
        "postgresql://recon@localhost/recon",
        "postgresql://recon@127.0.0.1:5433/recon",
        "postgresql://recon@/recon?host=/run/postgresql",
        "postgresql://recon@/recon?host=localhost:5432&host=[::1]:5433",
        "postgresql://recon@/recon?host=db.example&hostaddr=10.0.0.7&sslmode=verify-full&passfile=p",
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
        "postgresql://recon:p@/recon?host=db.example",
        "postgresql://recon:p@/recon?host=localhost:5432&host=db.example:5432",
        "postgresql://recon:p@/recon?host=localhost,db.example",
        "postgresql://recon:p@localhost/recon?host=db.example",
        "postgresql://recon:p@localhost/recon?hostaddr=10.0.0.7",
        "postgresql://recon:p@/recon?service=production",
        "postgresql://recon:p@/recon?host=db.example&sslmode=verify-full&sslmode=disable",
    ],
)
def test_databases_that_are_not(url: str) -> None:
    with pytest.raises(InsecureConfiguration) as caught:
        check_database_url(url)
    assert ":p@" not in str(caught.value)


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGSERVICE"])
def test_what_the_environment_says_of_the_database_counts(name: str) -> None:
    named, unnamed = "postgresql://recon:p@localhost/recon", "postgresql://recon:p@/recon"
    with pytest.raises(InsecureConfiguration):
        check_database_url(unnamed, {name: "10.0.0.7"})
    check_database_url(unnamed, {"PGHOST": "/run/postgresql"})
    check_database_url(named, {"PGHOST": "10.0.0.7"})  # the address says another
    with pytest.raises(InsecureConfiguration):
        check_database_url(named, {"PGHOSTADDR": "10.0.0.7"})  # and this one goes before it


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
        "redis://localhost:6379/0;redis://:p@redis.example/0",
        "rediss://:p@a.example/0?ssl_cert_reqs=required;redis://:p@b.example/0",
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
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        check_s3_endpoint("https://s3.example", {name: "http://other.example"})
        with pytest.raises(InsecureConfiguration):
            check_s3_endpoint("", {name: "http://s3.example"})


def test_what_opens_a_collector_of_traces_goes_there_by_tls() -> None:
    check_traces_endpoint("", secret=True)
    check_traces_endpoint("http://localhost:4318/v1/traces", secret=True)
    check_traces_endpoint("https://traces.example/v1/traces", secret=True)
    check_traces_endpoint("http://traces.example/v1/traces", secret=False)
    with pytest.raises(InsecureConfiguration):
        check_traces_endpoint("http://traces.example/v1/traces", secret=True)
