"""The rows of the authorization server in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import Grant
from fhir_server.smart.ports import Granted, KeyRow, Refresh


class FakeClients:
    def __init__(self, *clients: Client) -> None:
        self._rows = {client.client_id: client for client in clients}

    def get(self, client_id: str) -> Client | None:
        return self._rows.get(client_id)

    def all(self) -> Sequence[Client]:
        return [self._rows[id] for id in sorted(self._rows)]

    def save(self, client: Client) -> bool:
        there = self._rows.get(client.client_id)
        if client.revision != (there.revision + 1 if there else 1):
            return False
        self._rows[client.client_id] = client
        return True


@dataclass(slots=True)
class _Row:
    grant: Grant
    code: bytes | None
    live: bool = True
    redeemed: bool = False
    reason: str = ""


class FakeGrants:
    """Both ports: what worker threads ask, and what the event loop asks."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._refresh: dict[bytes, Refresh] = {}

    def add(self, grant: Grant, expires: datetime, code: bytes | None = None) -> None:
        self._rows[grant.id] = _Row(grant, code, redeemed=code is None)

    def get(self, id: str) -> Granted | None:
        row = self._rows.get(id)
        return Granted(row.grant, row.live, row.redeemed) if row else None

    def by_code(self, code: bytes) -> Granted | None:
        return next((self.get(row.grant.id) for row in self._rows.values() if row.code == code), None)

    def redeem(self, id: str, expires: datetime) -> bool:
        row = self._rows.get(id)
        if row is None or not row.live or row.redeemed:
            return False
        row.redeemed = True
        return True

    def end(self, id: str, reason: str) -> bool:
        row = self._rows.get(id)
        if row is None or not row.live:
            return False
        row.live, row.reason, row.redeemed = False, reason, True
        return True

    def add_refresh(self, token: bytes, grant: str, expires: datetime) -> None:
        self._refresh[token] = Refresh(grant, used=False)

    def refresh(self, token: bytes) -> Refresh | None:
        return self._refresh.get(token)

    def use_refresh(self, token: bytes) -> bool:
        found = self._refresh.get(token)
        if found is None or found.used:
            return False
        self._refresh[token] = Refresh(found.grant, used=True)
        return True

    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        return {
            id: self._rows[id].reason if id in self._rows else ""
            for id in ids
            if id not in self._rows or not self._rows[id].live
        }

    async def end_all(self, owner: str, reason: str) -> int:
        return sum(self.end(id, reason) for id, row in self._rows.items() if owner in row.grant.owners)


class FakeHandles:
    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[bytes, datetime]] = {}

    def put(self, kind: str, opens: str, content: bytes, expires: datetime) -> None:
        self._rows[kind, opens] = (content, expires)

    def peek(self, kind: str, opens: str, now: datetime) -> bytes | None:
        found = self._rows.get((kind, opens))
        return found[0] if found and found[1] > now else None

    def take(self, kind: str, opens: str, now: datetime) -> bytes | None:
        found = self.peek(kind, opens, now)
        if found is not None:
            del self._rows[kind, opens]
        return found

    def once(self, kind: str, name: str, expires: datetime) -> bool:
        if (kind, name) in self._rows:
            return False
        self._rows[kind, name] = (b"", expires)
        return True


class FakeSigningKeyRows:
    def __init__(self) -> None:
        self.rows: dict[int, KeyRow] = {}

    async def all(self) -> Sequence[KeyRow]:
        return [self.rows[number] for number in sorted(self.rows)]

    async def add(self, row: KeyRow) -> bool:
        if row.number in self.rows:
            return False
        self.rows[row.number] = row
        return True

    async def remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.rows.pop(number, None)
