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
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from httpx2 import Response

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_OK = 200
_PORTS = {"https": 443, "http": 80}
_THIS_MACHINE = frozenset({"127.0.0.1", "::1"})

Resolve = Callable[[str, int], Sequence[str]]


class EgressError(Exception):
    """It was not fetched. Which address a name has is not told."""


@dataclass(frozen=True, slots=True)
class Fetched:
    body: bytes
    headers: Mapping[str, str]
    status: int = 200


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
    """`allowed` judges addresses; a test that serves on loopback brings its own, and its own `trusted` roots.

    With `loopback` this machine is reached as well, by its literal address also without TLS: for a demo.
    """

    def __init__(
        self,
        allowed: Callable[[str], bool] = is_public,
        resolve: Resolve = resolve,
        trusted: ssl.SSLContext | None = None,
        *,
        loopback: bool = False,
    ) -> None:
        self._allowed, self._resolve, self._trusted, self._loopback = allowed, resolve, trusted, loopback

    @property
    def trusted(self) -> ssl.SSLContext:
        """Whose certificates are believed: made once, it takes a while."""
        self._trusted = self._trusted or ssl.create_default_context()
        return self._trusted

    def get(self, url: str, *, most_bytes: int, seconds: float) -> Fetched:
        """200 and a whole body, or EgressError. No redirect is followed, no proxy asked, no credential sent."""
        found = self._asked("GET", url, {"Accept": "application/json"}, None, most_bytes, seconds)
        if found.status != _OK:
            raise EgressError("The answer is not 200 with a plain body.")
        return found

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, most_bytes: int, seconds: float) -> Fetched:
        """A whole body, whatever the status, or EgressError; the same rules."""
        return self._asked("POST", url, headers, body, most_bytes, seconds)

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, most_bytes: int, seconds: float
    ) -> Fetched:
        import httpx2  # here, for it takes long to load: nobody starts by going out

        until = monotonic() + seconds
        target, host = self.pinned(url)
        # What is compressed could be far larger than it looks.
        sent = {**headers, "Host": host, "Accept-Encoding": "identity"}
        server = {"sni_hostname": urlsplit(url).hostname}
        try:
            with (
                httpx2.Client(verify=self.trusted, trust_env=False, timeout=seconds) as client,
                client.stream(method, target, headers=sent, content=body, extensions=server) as answer,
            ):
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise EgressError("The answer is not 200 with a plain body.")
                return Fetched(_body(answer, most_bytes, until), dict(answer.headers), answer.status_code)
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError):
            raise EgressError("The connection failed.") from None

    def may(self, url: str) -> bool:
        """Is it of the kind that is gone to at all? No name is resolved; an address that is written out is judged."""
        try:
            _, host, _ = self._parts(url)
            address = ipaddress.ip_address(host)
        except EgressError:
            return False
        except ValueError:
            return True
        return self._is_allowed(str(address))

    def pinned(self, url: str) -> tuple[str, str]:
        """The same URL with an address instead of the name, and what the name was. Raises EgressError."""
        parts, host, port = self._parts(url)
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise EgressError("The name cannot be resolved.") from None
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise EgressError("The address is not a public one.")
        literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{literal}:{port}{parts.path or '/'}{query}", parts.netloc

    def _parts(self, url: str) -> tuple[SplitResult, str, int]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise EgressError("This is no URL.") from None
        is_plain = parts.scheme == "http" and self._loopback and host in _THIS_MACHINE
        if not (parts.scheme == "https" or is_plain) or not host or "@" in parts.netloc:
            raise EgressError("Only https URLs without credentials are fetched.")
        return parts, host, port

    def _is_allowed(self, address: str) -> bool:
        return self._allowed(address) or (self._loopback and address in _THIS_MACHINE)


def _body(answer: "Response", most_bytes: int, until: float) -> bytes:
    found = bytearray()
    for part in answer.iter_raw():
        found += part
        if len(found) > most_bytes or monotonic() > until:
            raise EgressError("The answer is too large, or too slow.")
    return bytes(found)
