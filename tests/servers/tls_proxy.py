"""``python tests/servers/tls_proxy.py PORT UPSTREAM CERTIFICATE KEY AUTHORITY``: what a proxy does that asks
for client certificates: ends TLS, and passes on the fingerprint of the certificate in a header that nobody
else can set. One request per connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys

HEADER = b"x-client-fingerprint"


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: int) -> None:
    """One connection."""
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    fingerprint = hashlib.sha256(certificate).hexdigest().encode()
    head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    kept = [line for line in head if not line.lower().startswith((HEADER + b":", b"connection:"))]
    answers, requests = await asyncio.open_connection("127.0.0.1", upstream)
    kept += [HEADER + b": " + fingerprint, b"Connection: close"]
    requests.write(b"\r\n".join(kept) + b"\r\n\r\n")
    body = asyncio.create_task(copy(reader, requests))
    await copy(answers, writer)
    body.cancel()
    writer.close()


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until the source ends."""
    while block := await source.read(65_536):
        target.write(block)
        await target.drain()


async def main(port: int, upstream: int, certificate: str, key: str, authority: str) -> None:
    """Serve until it is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(
        lambda reader, writer: forward(reader, writer, upstream), "127.0.0.1", port, ssl=context
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]))
