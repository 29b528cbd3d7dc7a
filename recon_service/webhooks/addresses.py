"""Which addresses webhooks may be sent to.

Whoever may register a webhook can make this service send requests; nothing that only this network can reach
(databases, metadata services of clouds, this machine) may be among them. So the name is resolved here, every
address that it has is checked, and the connection goes to the address that was checked, not to the name
again, which could resolve to another one a moment later.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from recon_service.domain.errors import InvalidValue

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
MAX_URL: Final = 500
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class WebhookAddressRefused(InvalidValue):
    """An address that webhooks are not sent to: not https, or in a private network that is not allowed."""

    code = "webhook-address-refused"
    title = "Webhooks are not sent to this address"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: an address that was checked, and the name that the other side must prove."""

    secure: bool
    host: str
    port: int
    address: str
    path: str

    @property
    def authority(self) -> str:
        """For the header Host."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == (443 if self.secure else 80) else f"{shown}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_target(
    url: str,
    *,
    allowed: Sequence[IPNetwork] = (),
    resolver: Callable[[str, int], list[str]] = resolve,
) -> Target:
    """Where a webhook goes. allowed: networks that may be reached though they are not public; plain http is
    for loopback alone, and only where that is among them.

    Raises WebhookAddressRefused; OSError when the name does not resolve.
    """
    parts, port = _parts(url)
    host = parts.hostname or ""
    try:
        addresses = [str(ipaddress.ip_address(host))]
    except ValueError:
        addresses = resolver(host, port)
    parsed = [ipaddress.ip_address(a.split("%")[0]) for a in addresses]
    for address in parsed:
        if not reachable(address, allowed):
            # Without the address: what a name resolves to within this network is nobody's business.
            raise WebhookAddressRefused(
                "the host is not a public address",
                next_step="Name a public host, or allow its network with RECON_WEBHOOK_NETWORKS.",
            )
    if parts.scheme != "https" and not all(a.is_loopback for a in parsed):
        raise WebhookAddressRefused("the address is not https", next_step="Use https://….")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, str(parsed[0]), path)


def reachable(address: IPAddress, allowed: Sequence[IPNetwork]) -> bool:
    """Whether it is public, or in a network that is allowed; an address wrapped in IPv6 is unwrapped."""
    inner = _wrapped(address)
    if inner is not None:
        return reachable(inner, allowed)
    if any(address in network for network in allowed if network.version == address.version):
        return True
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def parse_networks(text: str) -> tuple[IPNetwork, ...]:
    """Networks separated by commas, as in ``10.1.0.0/16,fd00::/8``. Raises WebhookAddressRefused."""
    try:
        return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError as fault:
        raise WebhookAddressRefused(
            "RECON_WEBHOOK_NETWORKS is not a list of networks", next_step="For example: 10.1.0.0/16"
        ) from fault


def _parts(url: str) -> tuple[SplitResult, int]:
    unreadable = WebhookAddressRefused(
        "the address cannot be read", next_step="For example: https://example.org/events"
    )
    if len(url) > MAX_URL or not url.isascii() or any(c.isspace() or ord(c) < 33 for c in url):
        raise unreadable
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise unreadable from None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise unreadable
    if parts.username is not None or parts.password is not None:
        raise WebhookAddressRefused(
            "the address holds a password", next_step="Check the signature instead; put no secret there."
        )
    return parts, port or (443 if parts.scheme == "https" else 80)


def _wrapped(address: IPAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
