"""The one way out: HTTPS to public addresses, never to our own network, never further than asked, never for long.

OWASP "Server-Side Request Forgery Prevention"; RFC 9700 section 4.12. The name is resolved here, every address of it
must be public, and the connection goes to the one that was looked at: a name that changes in between leads nowhere.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import httpx2

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_OK = 200
_HTTPS_PORT = 443

Resolve = Callable[[str, int], Sequence[str]]


class EgressError(Exception):
    """It was not fetched. Which address a name has is not told."""


@dataclass(frozen=True, slots=True)
class Fetched:
    body: bytes
    headers: Mapping[str, str]


def is_public(address: str) -> bool:
    """Global unicast, and no other address in disguise."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in _NAT64):
        return False
    return ip.is_global and not ip.is_multicast


def resolve(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Egress:
    """`allowed` judges addresses; a test that serves on loopback brings its own, and its own `trusted` roots."""

    def __init__(
        self,
        allowed: Callable[[str], bool] = is_public,
        resolve: Resolve = resolve,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed, self._resolve, self._trusted = allowed, resolve, trusted

    def get(self, url: str, *, most_bytes: int, seconds: float) -> Fetched:
        """200 and a whole body, or EgressError. No redirect is followed, no proxy asked, no credential sent."""
        until = monotonic() + seconds
        target, host = self._pinned(url)
        self._trusted = self._trusted or ssl.create_default_context()
        # What is compressed could be far larger than it looks.
        headers = {"Host": host, "Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            with (
                httpx2.Client(verify=self._trusted, trust_env=False, timeout=seconds) as client,
                client.stream(
                    "GET", target, headers=headers, extensions={"sni_hostname": urlsplit(url).hostname}
                ) as answer,
            ):
                if answer.status_code != _OK or answer.headers.get("content-encoding", "identity") != "identity":
                    raise EgressError("The answer is not 200 with a plain body.")
                return Fetched(_body(answer, most_bytes, until), dict(answer.headers))
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError):
            raise EgressError("The connection failed.") from None

    def _pinned(self, url: str) -> tuple[str, str]:
        """The same URL with an address instead of the name, and what the name was."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _HTTPS_PORT
        except ValueError:
            raise EgressError("This is no URL.") from None
        if parts.scheme != "https" or not host or parts.username is not None or parts.password is not None:
            raise EgressError("Only https URLs without credentials are fetched.")
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise EgressError("The name cannot be resolved.") from None
        if not addresses or not all(self._allowed(address) for address in addresses):
            raise EgressError("The address is not a public one.")
        literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        query = f"?{parts.query}" if parts.query else ""
        return f"https://{literal}:{port}{parts.path or '/'}{query}", parts.netloc


def _body(answer: httpx2.Response, most_bytes: int, until: float) -> bytes:
    found = bytearray()
    for part in answer.iter_raw():
        found += part
        if len(found) > most_bytes or monotonic() > until:
            raise EgressError("The answer is too large, or too slow.")
    return bytes(found)
