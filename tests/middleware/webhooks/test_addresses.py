"""Which addresses a message may go to: judged by the address alone, in every way of writing it."""

import pytest

from middleware.webhooks.addresses import is_allowed, networks

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2001:db8::1",
    "2001:0:53aa:64c:0:0:80ff:fffe",  # Teredo of a client at 127.0.0.1
    "localhost",
    "example.com",
    "",
    "2130706433",
    "0x7f.1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused(address: str) -> None:
    """Loopback, private, link-local, reserved, and IPv6 addresses that stand for one of them; and what is a name."""
    assert not is_allowed(address, (), encrypted=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed_with_encryption(address: str) -> None:
    """And not without."""
    assert is_allowed(address, (), encrypted=True)
    assert not is_allowed(address, (), encrypted=False)


def test_named_networks_are_allowed_and_no_others() -> None:
    """A network in the settings opens itself, however its addresses are written, and nothing beside it."""
    named = networks(("10.1.0.0/16", "::1/128"))
    assert is_allowed("10.1.255.1", named, encrypted=False)
    assert is_allowed("::ffff:10.1.0.1", named, encrypted=True)
    assert is_allowed("::1", named, encrypted=False)
    assert not is_allowed("10.2.0.1", named, encrypted=True)
    assert not is_allowed("127.0.0.1", named, encrypted=True)
