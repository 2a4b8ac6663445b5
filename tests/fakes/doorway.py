"""What sign-in keeps, in memory; and those whom it tells."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_server.kernel.clock import Clock
from fhir_server.smart.signin.administration import Told
from fhir_server.smart.signin.devices import MOST
from fhir_server.smart.signin.factor_reset import Asked
from fhir_server.smart.signin.leaving import HandedOver
from fhir_server.smart.signin.lockout import Tally
from fhir_server.smart.signin.sessions import Ended, SignIn
from fhir_server.smart.signin.users import User


class FakeUsers:
    def __init__(self) -> None:
        self.rows: dict[str, User] = {}

    async def named(self, username: str) -> User | None:
        return next((user for user in self.rows.values() if user.username == username), None)

    async def get(self, id: str) -> User | None:
        return self.rows.get(id)

    async def add(self, user: User) -> bool:
        if await self.named(user.username):
            return False
        self.rows[user.id] = user
        return True

    async def replace(self, user: User) -> User | None:
        stored = self.rows.get(user.id)
        if stored is None or stored.revision != user.revision:
            return None
        self.rows[user.id] = replace(user, revision=user.revision + 1)
        return self.rows[user.id]

    async def all(self) -> Sequence[User]:
        return sorted(self.rows.values(), key=lambda user: user.username)


class FakeSignIns:
    def __init__(self) -> None:
        self.rows: dict[str, SignIn] = {}
        self.secrets: dict[bytes, str] = {}

    async def add(self, sign_in: SignIn, secret: bytes) -> None:
        self.rows[sign_in.id] = sign_in
        self.secrets[secret] = sign_in.id

    async def of_secret(self, secret: bytes) -> SignIn | None:
        return self.rows.get(self.secrets.get(secret, ""))

    async def get(self, id: str) -> SignIn | None:
        return self.rows.get(id)

    async def of_user(self, user: str) -> Sequence[SignIn]:
        return [one for one in self.rows.values() if one.user == user]

    async def replace(self, sign_in: SignIn, secret: bytes | None = None) -> SignIn | None:
        stored = self.rows.get(sign_in.id)
        if stored is None or stored.revision != sign_in.revision:
            return None
        self.rows[sign_in.id] = replace(sign_in, revision=sign_in.revision + 1)
        if secret is not None:
            self.secrets = {one: id for one, id in self.secrets.items() if id != sign_in.id} | {secret: sign_in.id}
        return self.rows[sign_in.id]

    async def touch(self, id: str, seen: datetime) -> None:
        if id in self.rows:
            self.rows[id] = replace(self.rows[id], seen=max(seen, self.rows[id].seen))

    async def end(self, ids: Collection[str]) -> None:
        for id in ids:
            self.rows.pop(id, None)

    async def sweep(self, now: datetime) -> None:
        await self.end([one.id for one in self.rows.values() if one.until <= now])


class FakeDevices:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], tuple[datetime, datetime]] = {}

    async def known(self, user: str, device: bytes, now: datetime) -> bool:
        found = self.rows.get((user, device))
        return found is not None and found[1] > now

    async def add(self, user: str, device: bytes, now: datetime, until: datetime) -> None:
        self.rows[user, device] = (now, until)
        mine = sorted((seen, key) for key, (seen, _) in self.rows.items() if key[0] == user)
        for _, key in mine[:-MOST]:
            del self.rows[key]

    async def count(self, user: str, now: datetime) -> int:
        return sum(owner == user and until > now for (owner, _), (_, until) in self.rows.items())

    async def forget(self, user: str) -> None:
        self.rows = {key: row for key, row in self.rows.items() if key[0] != user}

    async def sweep(self, now: datetime) -> None:
        self.rows = {key: row for key, row in self.rows.items() if row[1] > now}


class FakeTallies:
    def __init__(self) -> None:
        self.rows: dict[str, Tally] = {}

    async def tally(self, key: str) -> Tally | None:
        return self.rows.get(key)

    async def swap(self, key: str, before: Tally | None, after: Tally) -> bool:
        if self.rows.get(key) != before:
            return False
        self.rows[key] = after
        return True

    async def forget(self, key: str) -> None:
        self.rows.pop(key, None)

    async def sweep(self, now: datetime) -> None:
        """Nothing is old in a test that does not ask for it."""


class FakeSpent:
    def __init__(self) -> None:
        self.rows: dict[bytes, datetime] = {}

    async def spend(self, value: bytes, until: datetime) -> bool:
        return self.rows.setdefault(value, until) is until

    async def sweep(self, now: datetime) -> None:
        self.rows = {value: until for value, until in self.rows.items() if until > now}


class FakeResetRequests:
    def __init__(self) -> None:
        self.rows: dict[str, Asked] = {}

    async def asked(self, user: str) -> Asked | None:
        return self.rows.get(user)

    async def ask(self, asked: Asked) -> None:
        self.rows[asked.user] = asked

    async def forget(self, user: str) -> None:
        self.rows.pop(user, None)


@dataclass
class FakeDoorway:
    """All ports of sign-in on one memory."""

    clock: Clock
    users: FakeUsers = field(default_factory=FakeUsers)
    sign_ins: FakeSignIns = field(default_factory=FakeSignIns)
    devices: FakeDevices = field(default_factory=FakeDevices)
    tallies: FakeTallies = field(default_factory=FakeTallies)
    spent: FakeSpent = field(default_factory=FakeSpent)
    reset_requests: FakeResetRequests = field(default_factory=FakeResetRequests)

    async def sweep(self) -> None:
        now = self.clock.now()
        await self.sign_ins.sweep(now)
        await self.devices.sweep(now)
        await self.tallies.sweep(now)
        await self.spent.sweep(now)


@dataclass(frozen=True)
class Witnessed:
    action: str
    succeeded: bool
    subject: str
    address: str
    factor: str


class FakeWitness:
    def __init__(self) -> None:
        self.seen: list[Witnessed] = []

    async def witness(
        self,
        action: str,
        *,
        succeeded: bool,
        subject: str,
        name: str,
        fhir_user: str | None,
        address: str,
        factor: str,
    ) -> None:
        self.seen.append(Witnessed(str(action), succeeded, subject, address, factor))

    @property
    def actions(self) -> list[tuple[str, bool]]:
        return [(one.action, one.succeeded) for one in self.seen]


class FakeMessenger:
    def __init__(self) -> None:
        self.told: list[tuple[str, Told]] = []

    async def tell(self, user: User, what: Told, at: datetime) -> None:
        self.told.append((user.username, what))


class FakeHandOver:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def hand_over(self, from_: str, to: str) -> HandedOver:
        self.asked.append((from_, to))
        return HandedOver(2, 3)


class FakeDependents:
    """Grants that hang on sign-ins."""

    def __init__(self) -> None:
        self.ended: list[tuple[tuple[str, ...], Ended]] = []
        self.users: list[tuple[str, Ended]] = []

    async def sign_ins_ended(self, sign_ins: Collection[str], why: Ended) -> None:
        self.ended.append((tuple(sign_ins), why))

    async def user_ended(self, user: str, why: Ended) -> None:
        self.users.append((user, why))
