"""A person's own means of proof, set and changed by themselves after they proved who they are.

NIST SP 800-63B-4 section 4.1; row T75. Whoever loses one is told by a notice; what hung on a factor ends with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin import totp
from fhir_server.smart.signin.binding import Binding
from fhir_server.smart.signin.passkeys import RelyingParty
from fhir_server.smart.signin.password_rules import Refusal, refusal
from fhir_server.smart.signin.passwords import Passwords
from fhir_server.smart.signin.ports import Spent, Users, Witness
from fhir_server.smart.signin.proofs import CHALLENGE_KEPT, ENROL, Place
from fhir_server.smart.signin.recovery import Recovery
from fhir_server.smart.signin.sessions import Ended, Sessions, SignIn
from fhir_server.smart.signin.users import MOST_PASSKEYS, Password, User
from fhir_server.smart.signin.witnessed import Action, witness

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Enrolment:
    users: Users
    passwords: Passwords
    recovery: Recovery
    relying_party: RelyingParty | None
    binding: Binding
    spent: Spent
    sessions: Sessions
    witness: Witness
    clock: Clock
    issuer: str

    async def set_password(self, user: User, password: str, place: Place, within: SignIn) -> User | Refusal:
        """Every other sign-in ends: one of them may be why it is changed. `alone` as long as no factor stands beside.

        Staff will have one before they get any further, so theirs is never alone.
        """
        alone = not user.is_staff and not user.has_second_factor
        if refused := refusal(password, names=(user.username, *user.name.split()), alone=alone):
            return refused
        kept = Password(await self.passwords.hash(password), self.clock.now())
        changed = await self._changed(user, lambda one: replace(one, password=kept))
        await self.sessions.end_user(user.id, Ended.PASSWORD_CHANGED, but=within)
        await witness(self.witness, Action.PASSWORD_SET, changed, place.address)
        return changed

    def totp_address(self, user: User, secret: str) -> str:
        return totp.address(secret, user.username, self.issuer)

    async def enrol_totp(self, user: User, secret: str, code: str, place: Place) -> User | None:
        """None where the code is not what the secret gives now."""
        factor = totp.enrolled(secret, code, self.clock.now())
        if factor is None:
            return None
        changed = await self._changed(
            user, lambda one: replace(one, totp=factor).noticing("totp-enrolled", factor.since)
        )
        await witness(self.witness, Action.TOTP_ENROLLED, changed, place.address)
        return changed

    async def enrol_passkey(
        self, user: User, response: str, challenge: bytes, browser: str, label: str, place: Place
    ) -> User | None:
        now = self.clock.now()
        if self.relying_party is None or len(user.passkeys) >= MOST_PASSKEYS:
            return None
        good = self.binding.is_challenge(challenge, ENROL, browser, now)
        fresh = good and await self.spent.spend(challenge, now + CHALLENGE_KEPT)
        passkey = self.relying_party.registered(response, challenge, label, now) if fresh else None
        if passkey is None:
            return None
        changed = await self._changed(user, lambda one: one.with_passkey(passkey).noticing("passkey-enrolled", now))
        await witness(self.witness, Action.PASSKEY_ENROLLED, changed, place.address)
        return changed

    async def recovery_codes(self, user: User, place: Place) -> tuple[str, ...]:
        """Ten new ones, to be shown once; older ones are good for nothing any more."""
        codes, kept = await self.recovery.fresh()
        changed = await self._changed(user, lambda one: replace(one, recovery=kept))
        await witness(self.witness, Action.RECOVERY_CODES, changed, place.address)
        return codes

    async def remove_totp(self, user: User, place: Place) -> User:
        return await self._without(user, lambda one: replace(one, totp=None), place)

    async def remove_passkey(self, user: User, id: bytes, place: Place) -> User:
        def without(one: User) -> User:
            return replace(one, passkeys=tuple(passkey for passkey in one.passkeys if passkey.id != id))

        return await self._without(user, without, place)

    async def notices_seen(self, user: User) -> User:
        return await self._changed(user, lambda one: replace(one, notices=()))

    async def _without(self, user: User, remove: Callable[[User], User], place: Place) -> User:
        """Sign-ins that rested on the factor end, and the tokens that hang on them."""
        changed = await self._changed(user, lambda one: remove(one).noticing("factor-removed", self.clock.now()))
        await self.sessions.end_user(user.id, Ended.FACTOR_REMOVED)
        await witness(self.witness, Action.FACTOR_REMOVED, changed, place.address)
        return changed

    async def _changed(self, user: User, change: Callable[[User], User]) -> User:
        return await changed(self.users, user.id, change)


async def changed(users: Users, id: str, change: Callable[[User], User]) -> User:
    """Read, change, store; again where somebody else stored in between."""
    for _ in range(_TRIES):
        user = await users.get(id)
        if user is None:
            break
        if stored := await users.replace(change(user)):
            return stored
    raise UnavailableError("The user is being changed by others.")
