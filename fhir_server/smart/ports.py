"""What the authorization server needs from outside. fhir_server.store implements the rows, tests/fakes in memory.

What runs in its worker threads is synchronous (ADR 9).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fhir_server.engine.ports import Grants as HeldGrants
from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client
from fhir_server.smart.clients.public_keys import PublicKey
from fhir_server.smart.grant import Grant


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as it stands. `redeemed`: was its code used?"""

    grant: Grant
    live: bool
    redeemed: bool


@dataclass(frozen=True, slots=True)
class Refresh:
    """Of which grant a refresh token is, and whether it was used."""

    grant: str
    used: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A signing key as kept: its number in the order of their making, and its private JWK."""

    number: int
    created: datetime
    jwk: Json = field(repr=False)


class Clients(Protocol):
    def get(self, client_id: str) -> Client | None:
        """A disabled one too: who asks decides what that means."""
        ...

    def all(self) -> Sequence[Client]: ...

    def save(self, client: Client) -> bool:
        """False where the id is taken, or somebody else changed it since it was read."""
        ...


class Grants(Protocol):
    def add(self, grant: Grant, expires: datetime, code: bytes | None = None) -> None:
        """Live at once. With the hash of a code, it waits to be redeemed until `expires`."""
        ...

    def get(self, id: str) -> Granted | None: ...

    def by_code(self, code: bytes) -> Granted | None: ...

    def redeem(self, id: str, expires: datetime) -> bool:
        """True once, for one process alone, while it is live."""
        ...

    def end(self, id: str, reason: str) -> bool:
        """In force in every process when it returns. False where it had ended before."""
        ...

    def add_refresh(self, token: bytes, grant: str, expires: datetime) -> None: ...

    def refresh(self, token: bytes) -> Refresh | None: ...

    def use_refresh(self, token: bytes) -> bool:
        """True once, for one process alone."""
        ...


class GrantStates(HeldGrants, Protocol):
    """What the event loop asks of grants."""

    async def end_all(self, owner: str, reason: str) -> int:
        """End what hangs on `client/…`, `subject/…` or `session/…`; how many. In force when it returns."""
        ...


class Handles(Protocol):
    """One-time things, by what opens them."""

    def put(self, kind: str, opens: str, content: bytes, expires: datetime) -> None: ...

    def peek(self, kind: str, opens: str, now: datetime) -> bytes | None: ...

    def take(self, kind: str, opens: str, now: datetime) -> bytes | None:
        """None for everybody but the first."""
        ...

    def once(self, kind: str, name: str, expires: datetime) -> bool:
        """True for the first who says this name, in whatever process."""
        ...


class SigningKeyRows(Protocol):
    async def all(self) -> Sequence[KeyRow]: ...

    async def add(self, row: KeyRow) -> bool:
        """False where another process made that number."""
        ...

    async def remove(self, numbers: Sequence[int]) -> None: ...


class RemoteKeys(Protocol):
    def keys(self, url: str, *, wanted: str) -> Sequence[PublicKey]:
        """Of the JWK Set at a registered URL, fetched anew where `wanted`, a kid, is not in what is known of it.

        None of them where it cannot be had, or lies where the server does not go.
        """
        ...


class SignIns(Protocol):
    async def alive(self, session: str) -> bool:
        """Is this sign-in neither ended nor run out?"""
        ...
