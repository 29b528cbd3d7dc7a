from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.webhooks.addresses import (
    LOOPBACK,
    WebhookAddressRefused,
    checked_target,
    parse_networks,
    reachable,
)

PUBLIC = "93.184.215.14"


def resolves_to(*addresses: str):  # type: ignore[no-untyped-def]
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # where clouds keep their credentials
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:db8::1",
    ],
)
def test_addresses_of_this_and_other_private_networks_are_refused(address: str) -> None:
    shown = f"[{address}]" if ":" in address else address
    with pytest.raises(WebhookAddressRefused):
        checked_target(f"https://{shown}/x")
    with pytest.raises(WebhookAddressRefused) as caught:
        checked_target("https://events.example/x", resolver=resolves_to(PUBLIC, address))
    assert address not in caught.value.detail, "what a name resolves to inside is nobody's business"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "events.example/x",
        "ftp://events.example/",
        "file:///etc/passwd",
        "gopher://events.example/",
        "https://",
        "https:///x",
        "https://user:password@events.example/",
        "https://events.example/#fragment",
        "https://events.example:99999/",
        "https://events.example/a b",
        "https://events.example/\r\nX-Evil: 1",
        "https://evénts.example/",
        "https://[::1",
        "https://events.example/" + "x" * 500,
        "http://events.example/",
    ],
)
def test_urls_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        checked_target(url, resolver=resolves_to(PUBLIC))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_other_spellings_of_loopback_come_to_the_same(host: str) -> None:
    # Whatever the resolver makes of them: what counts is the address that comes out.
    with pytest.raises(WebhookAddressRefused):
        checked_target(f"https://{host}/", resolver=resolves_to("127.0.0.1"))


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    target = checked_target("https://events.example:8443/in?x=1", resolver=lambda host, port: next(answers))
    assert (target.address, target.host, target.port) == (PUBLIC, "events.example", 8443)
    assert (target.path, target.authority, target.secure) == ("/in?x=1", "events.example:8443", True)


def test_networks_can_be_allowed_and_plain_http_stays_at_home() -> None:
    allowed = parse_networks("10.1.0.0/16, fd00::/8")
    assert checked_target("https://10.1.2.3/", allowed=allowed).address == "10.1.2.3"
    for refused in ("https://10.2.0.1/", "http://10.1.2.3/"):
        with pytest.raises(WebhookAddressRefused):
            checked_target(refused, allowed=allowed)
    assert checked_target("http://127.0.0.1:8000/x", allowed=LOOPBACK).port == 8000
    with pytest.raises(WebhookAddressRefused):
        checked_target("http://127.0.0.1:8000/x")
    for bad in ("10.1.0.1/16", "everything", "10.0.0.0/8;"):
        with pytest.raises(WebhookAddressRefused):
            parse_networks(bad)
    assert parse_networks("") == ()


@given(st.ip_addresses())
def test_nothing_is_reachable_that_is_not_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if reachable(address, ()):
        assert address.is_global or getattr(address, "sixtofour", None) or getattr(address, "teredo", None)
        assert not address.is_private or getattr(address, "ipv4_mapped", None)
