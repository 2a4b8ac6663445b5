"""A door on ports in memory, with people who may come in."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pyotp

from fhir_server.kernel.identity import random_id
from fhir_server.smart.signin.door import Door, Outside, Policy, door
from fhir_server.smart.signin.passwords import Effort
from fhir_server.smart.signin.proofs import Place
from fhir_server.smart.signin.sessions import Limits
from fhir_server.smart.signin.users import Password, Totp, User
from tests.fakes.clock import FakeClock
from tests.fakes.doorway import FakeDependents, FakeDoorway, FakeHandOver, FakeMessenger, FakeWitness

QUICK = Effort(memory=64, passes=1)
"""As little as argon2 takes: what is tested is not its strength."""

PASSWORD = "correct horse battery staple"
HOME = Place("192.0.2.7", "Netscape", None)
IDLE, LIFETIME = timedelta(minutes=15), timedelta(hours=10)


@dataclass
class FakeDoor:
    clock: FakeClock = field(default_factory=FakeClock)
    base_url: str = "http://localhost:8000"
    patients_by_password: bool = True
    witness: FakeWitness = field(default_factory=FakeWitness)
    messenger: FakeMessenger = field(default_factory=FakeMessenger)
    hand_over: FakeHandOver = field(default_factory=FakeHandOver)
    dependents: FakeDependents = field(default_factory=FakeDependents)

    def __post_init__(self) -> None:
        self.kept = FakeDoorway(self.clock)
        self.open = self.another()

    def another(self) -> Door:
        """Of another process, on what all processes share."""
        policy = Policy(self.base_url, "Clinic", QUICK, Limits(IDLE, LIFETIME), self.patients_by_password)
        outside = Outside(
            self.clock,
            random_id,
            secrets.token_bytes,
            bytes(32),
            self.witness,
            self.messenger,
            self.hand_over,
            (self.dependents,),
        )
        return door(self.kept, policy, outside)

    async def person(
        self, username: str, *roles: str, totp: bool = True, password: str = PASSWORD, fhir_user: str | None = None
    ) -> User:
        hash = await self.open.proofs.passwords.hash(password)
        factor = Totp(pyotp.random_base32(), self.clock.now(), 0) if totp else None
        user = User(
            random_id(),
            username,
            username.title(),
            roles or ("nurse",),
            fhir_user or f"Practitioner/{username}",
            self.clock.now(),
            password=Password(hash, self.clock.now()),
            totp=factor,
        )
        assert await self.kept.users.add(user)
        return user

    def code(self, user: User, steps: int = 0) -> str:
        assert user.totp is not None
        return pyotp.TOTP(user.totp.secret).at(self.clock.now() + timedelta(seconds=30 * steps))

    async def now(self, user: User) -> User:
        """As it is stored."""
        found = await self.kept.users.get(user.id)
        assert found is not None
        return found

    async def alter(self, user: User, **given: object) -> User:
        stored = await self.kept.users.replace(replace(await self.now(user), **given))  # type: ignore[arg-type]  # by field
        assert stored is not None
        return stored
