"""Mutual TLS as docs/operations.md shows it: a kiosk without a certificate gets no further than the
handshake, and a session that was opened with one certificate is not good with another.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.integration.running import Server
from tests.servers.processes import free_port


@dataclass
class Authority:
    """Signs certificates of kiosks, and of the proxy's address."""

    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {id(self)}")])
        self.certificate = self._sign(self.name, self.key, authority=True)
        self.file = self.folder / f"authority-{id(self)}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[str, str]:
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._sign(subject, key, authority=False)
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(paths[0]), str(paths[1])

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        if not authority:
            uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def answer(url: str, authority: Authority, cert: tuple[str, str] | None, **request: Any) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(authority.file))
    if cert is not None:
        context.load_cert_chain(*cert)
    with httpx.Client(verify=context, timeout=20) as client:
        return client.request(request.pop("method", "GET"), url, **request)


def until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("it does not listen")


def test_the_service_itself_asks_for_certificates(tmp_path: Path, authority: Authority) -> None:
    """Without a proxy: who has no certificate of the kiosks' authority gets no answer at all."""
    certificate, key = authority.issue("service")
    server = Server(
        tmp_path / "state",
        settings={
            "RECON_TLS_CERTIFICATE_FILE": certificate,
            "RECON_TLS_KEY_FILE": key,
            "RECON_TLS_CLIENT_AUTHORITY_FILE": str(authority.file),
        },
    )
    port = free_port()
    command = [sys.executable, "-m", "recon_service", "serve", "--port", str(port)]
    with server.log.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=server.environment())
    try:
        until_it_listens(process, port)
        url = f"https://localhost:{port}/livez"
        kiosk = authority.issue("kiosk-direct")
        assert answer(url, authority, kiosk).json()["status"]
        stranger = Authority(tmp_path).issue("stranger")
        for cert in (None, stranger):
            with pytest.raises(httpx.TransportError):
                answer(url, authority, cert)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://localhost:{port}/livez")
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_a_session_belongs_to_the_certificate_behind_a_proxy(tmp_path: Path, authority: Authority) -> None:
    """As with nginx: the proxy checks the certificate and sets the header."""
    server = Server(
        tmp_path / "state", settings={"RECON_CLIENT_CERTIFICATE_HEADER": "X-Client-Fingerprint"}
    ).start(ready=False)
    port, program = free_port(), Path(__file__).parents[1] / "servers" / "tls_proxy.py"
    own = authority.issue("proxy")
    command = [sys.executable, str(program), str(port), str(server.port), *own, str(authority.file)]
    proxy = subprocess.Popen(command)
    try:
        until_it_listens(proxy, port)
        one, two = authority.issue("kiosk-1"), authority.issue("kiosk-2")
        key = {"Authorization": f"Bearer {server.key}"}
        base = f"https://localhost:{port}/v1/kiosk-sessions"
        opened = answer(base, authority, one, method="POST", headers=key, json={})
        assert opened.status_code == 201
        more = f"{base}/{opened.json()['session_id']}/nonces"
        pem = x509.load_pem_x509_certificate(Path(one[0]).read_bytes())
        forged = key | {"X-Client-Fingerprint": pem.fingerprint(hashes.SHA256()).hex()}
        assert answer(more, authority, one, method="POST", headers=key).status_code == 201
        assert answer(more, authority, two, method="POST", headers=key).status_code == 409
        assert answer(more, authority, two, method="POST", headers=forged).status_code == 409
        with pytest.raises(httpx.TransportError):
            answer(base, authority, None, method="POST", headers=key, json={})
        with server.client() as beside:
            assert beside.post("/v1/kiosk-sessions", json={}).status_code == 422, "not through the proxy"
    finally:
        proxy.kill()
        proxy.wait()
        server.stop()
