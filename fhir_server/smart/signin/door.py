"""All of sign-in for one clinic, put together on its ports.

Architecture section 7: nothing of it is global.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import NewId
from fhir_server.smart.signin.administration import Administration, Messenger
from fhir_server.smart.signin.attempts import Attempts
from fhir_server.smart.signin.binding import Binding
from fhir_server.smart.signin.devices import Devices, KnownDevices
from fhir_server.smart.signin.enrolment import Enrolment
from fhir_server.smart.signin.factor_reset import FactorReset, ResetRequests
from fhir_server.smart.signin.leaving import HandOver, Leaving
from fhir_server.smart.signin.passkeys import RelyingParty
from fhir_server.smart.signin.passwords import Effort, Passwords
from fhir_server.smart.signin.ports import Spent, Tallies, Users, Witness
from fhir_server.smart.signin.proofs import Proofs
from fhir_server.smart.signin.recovery import Recovery
from fhir_server.smart.signin.sessions import Dependents, Limits, Sessions, SignIns

_SECRET_BYTES = 32


class Kept(Protocol):
    """The ports of what is kept."""

    @property
    def users(self) -> Users: ...
    @property
    def sign_ins(self) -> SignIns: ...
    @property
    def devices(self) -> Devices: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def spent(self) -> Spent: ...
    @property
    def reset_requests(self) -> ResetRequests: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """`issuer` is the clinic as authenticator apps show it.

    `patients_by_password`: those whom the clinic serves may sign in with a password alone; its staff never.
    """

    base_url: str
    issuer: str
    effort: Effort
    limits: Limits
    patients_by_password: bool


@dataclass(frozen=True, slots=True)
class Outside:
    """What else it needs: time, chance, and those whom it tells."""

    clock: Clock
    new_id: NewId
    new_bytes: Callable[[int], bytes]
    key: bytes
    witness: Witness
    messenger: Messenger
    hand_over: HandOver
    dependents: Sequence[Dependents] = ()

    def new_secret(self) -> str:
        """256 random bits, as a cookie can carry them."""
        return base64.urlsafe_b64encode(self.new_bytes(_SECRET_BYTES)).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Door:
    policy: Policy
    users: Users
    sessions: Sessions
    devices: KnownDevices
    proofs: Proofs
    enrolment: Enrolment
    administration: Administration
    factor_reset: FactorReset
    leaving: Leaving
    binding: Binding
    relying_party: RelyingParty | None
    outside: Outside


def door(kept: Kept, policy: Policy, outside: Outside) -> Door:
    clock, witness = outside.clock, outside.witness
    passwords = Passwords(policy.effort, outside.new_bytes)
    recovery = Recovery(policy.effort, outside.new_bytes)
    binding = Binding(outside.key, outside.new_bytes)
    party = RelyingParty.at(policy.base_url, policy.issuer)
    sessions = Sessions(
        kept.sign_ins, policy.limits, clock, outside.new_id, outside.new_secret, tuple(outside.dependents)
    )
    devices = KnownDevices(kept.devices, clock, outside.new_secret)
    attempts = Attempts(kept.tallies, clock)
    users = kept.users
    return Door(
        policy,
        users,
        sessions,
        devices,
        Proofs(users, passwords, recovery, party, binding, attempts, devices, kept.spent, witness, clock),
        Enrolment(users, passwords, recovery, party, binding, kept.spent, sessions, witness, clock, policy.issuer),
        Administration(
            users, passwords, sessions, devices, outside.messenger, clock, outside.new_id, outside.new_bytes
        ),
        FactorReset(users, sessions, devices, kept.reset_requests, outside.messenger, clock),
        Leaving(users, sessions, devices, kept.reset_requests, outside.hand_over),
        binding,
        party,
        outside,
    )
