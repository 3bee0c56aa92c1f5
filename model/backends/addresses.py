"""Addresses at which no model server stands: a cloud's own, which give a machine's secrets to whoever asks from it."""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

_METADATA = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_ALSO = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")))


class AddressError(ValueError):
    """An address at which no model server stands; the text says so."""


def check_address(url: str) -> None:
    """Check that a URL has a host, and that it is not the address of a cloud's metadata.

    Args:
        url: such as http://127.0.0.1:8000/v1.

    Raises:
        AddressError: it has none, or it is one.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
        _ = urlsplit(url).port
    except ValueError as e:
        raise AddressError(f"{url} is no address: {e}. Write openai:http://<host>/v1#<name>.") from e
    if not host:
        raise AddressError(f"{url} has no host. Write openai:http://<host>/v1#<name>.")
    found = _number(host)
    if host in _METADATA or (found and (found.is_link_local or found in _ALSO)):
        raise AddressError(f"{host} is an address of this machine's network itself, no model server. Name another one.")


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The number of an address, in any of the forms that a resolver takes; None for a name."""
    with suppress(ValueError):
        found = ipaddress.ip_address(host.partition("%")[0])
        return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
    with suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None
