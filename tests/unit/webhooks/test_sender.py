from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from recon_service.webhooks.addresses import LOOPBACK, WebhookAddressRefused
from recon_service.webhooks.sender import HttpWebhookSender
from tests.servers.webhook_receiver import (
    Behaviour,
    WebhookReceiver,
    answer,
    drip,
    flood,
    garbage,
    hang,
)

SENDER = HttpWebhookSender(allowed=LOOPBACK, limit_s=0.6)


def test_what_arrives_is_what_was_sent() -> None:
    with WebhookReceiver() as receiver:
        said = SENDER.send(receiver.url("/in?shop=7"), {"webhook-id": "evt_1"}, b'{"id":"evt_1"}')
        assert (said.status, said.fault, said.accepted) == (204, "", True)
        ((headers, body),) = receiver.requests
    assert body == b'{"id":"evt_1"}'
    assert headers["webhook-id"] == "evt_1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("behaviour", "status", "fault"),
    [
        (lambda h: answer(h, 500), 500, "refused"),
        (lambda h: answer(h, 410), 410, "refused"),
        (lambda h: answer(h, 302, Location="http://127.0.0.1:1/"), 302, "redirect"),
        (hang, 0, "timeout"),
        (drip, 0, "timeout"),
        (garbage, 0, "connection"),
        (lambda h: h.connection.close(), 0, "connection"),
    ],
)
def test_bad_receivers_cost_a_bounded_time(behaviour: Behaviour, status: int, fault: str) -> None:
    with WebhookReceiver(then=behaviour) as receiver:
        begun = time.monotonic()
        said = SENDER.send(receiver.url(), {}, b"{}")
        assert time.monotonic() - begun < 5.0
        assert (said.status, said.fault, said.accepted) == (status, fault, False)
        assert len(receiver.requests) == 1, "no redirect is followed, nothing is repeated here"


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with WebhookReceiver(then=flood) as receiver:
        assert SENDER.send(receiver.url(), {}, b"{}").status == 200


def test_nobody_there_and_no_such_name() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert SENDER.send(f"http://127.0.0.1:{port}/", {}, b"{}").fault == "connection"
    assert HttpWebhookSender().send("https://127.0.0.1/", {}, b"{}").fault == "address-refused"

    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    lost = HttpWebhookSender(resolver=nowhere)
    assert lost.send("https://nowhere.example/", {}, b"{}").fault == "name-not-resolved"
    with pytest.raises(WebhookAddressRefused):
        lost.refuse("https://nowhere.example/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For events.example, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "events.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("events.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


def test_tls_proves_the_name_though_the_connection_goes_to_the_address(certificate: Path) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=str(certificate))
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with WebhookReceiver(tls=serving) as receiver:
        sender = HttpWebhookSender(allowed=LOOPBACK, limit_s=3.0, trust=trust, resolver=resolver)
        said = sender.send(receiver.url(host="events.example"), {}, b"{}")
        assert (said.status, said.fault) == (204, "")
        assert receiver.requests[0][0]["host"] == f"events.example:{receiver.port}"
        assert asked == ["events.example"], "resolved once: there is no second time to give another answer"
        assert sender.send(receiver.url(host="other.example"), {}, b"{}").fault == "tls"
        untrusting = HttpWebhookSender(allowed=LOOPBACK, limit_s=3.0, resolver=resolver)
        assert untrusting.send(receiver.url(host="events.example"), {}, b"{}").fault == "tls"
        assert len(receiver.requests) == 1
