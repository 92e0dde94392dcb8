"""Which addresses may be connected to: those of the public internet, and networks that are named. Pure.

A receiver's name can point to another address at any time (DNS rebinding), so what is judged here is the address that
is connected to, at that moment, and never a name.
"""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["Network", "is_allowed", "networks"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def networks(written: Sequence[str]) -> tuple[Network, ...]:
    """The networks of the settings."""
    return tuple(ipaddress.ip_network(text) for text in written)


def is_allowed(address: str, named: Sequence[Network], *, encrypted: bool) -> bool:
    """Whether this address (no name) may be connected to. Without encryption only named networks are."""
    try:
        found = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(found.version == network.version and found in network for network in named):
        return True
    return encrypted and found.is_global and not (found.is_multicast or found.is_reserved)


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does: mapped, compatible, NAT64, 6to4, Teredo."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return address.teredo[1] if address.teredo is not None else address
