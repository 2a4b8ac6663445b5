"""The ways in, put together: people sign in, clients get tokens, and what hangs on a sign-in ends with it.

Architecture section 6. Part of the composition root: `app` opens it over what is there already.
"""

from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.api.cors import Cors
from fhir_server.api.gateway import Gateway
from fhir_server.audit.authorization import Authorizations
from fhir_server.audit.sign_ins import SignInLog
from fhir_server.consent.law import Law
from fhir_server.consent.signing import Office
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.media.sharing import Sharing
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.jwks import RemoteKeySets
from fhir_server.privacy.desk import Desk
from fhir_server.settings import Settings
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.oauth.threads import Threads
from fhir_server.smart.oauth.wiring import GrantEnds, Ports, SessionSignIns, Terms, authorization_server
from fhir_server.smart.oidc.signing_keys import SigningKeys
from fhir_server.smart.origins import Origins
from fhir_server.smart.signin.attempts import Attempts
from fhir_server.smart.signin.door import Door, Outside, Policy, door
from fhir_server.smart.signin.handing_over import EngineHandOver
from fhir_server.smart.signin.messages import EngineMessenger
from fhir_server.smart.signin.passwords import Effort
from fhir_server.smart.signin.sessions import Ended, Limits
from fhir_server.smart.token import Tokens
from fhir_server.store.clinic import ClinicStore
from fhir_server.ui.pages import Pages
from fhir_server.ui.surface import Shares, Surface


@dataclass(frozen=True, slots=True)
class Inside:
    """What is there already. `server` is who acts when a duty of the server itself writes."""

    store: ClinicStore
    engine: Engine
    tokens: Tokens
    signing_keys: SigningKeys
    bearer: Bearer
    server: Principal
    clock: Clock
    desk: Desk
    sharing: Sharing


@dataclass(frozen=True, slots=True)
class Entrance:
    door: Door
    pages: Pages
    gateway: Gateway


async def open_entrance(stack: AsyncExitStack, settings: Settings, inside: Inside) -> Entrance:
    store, engine, clock = inside.store, inside.engine, inside.clock
    url, base = settings.base_url, inside.tokens.audience
    people = door(
        store.doorway,
        _policy(settings),
        Outside(
            clock=clock,
            new_id=random_id,
            new_bytes=RandomBytes(),
            key=await store.keyring.named("sign-in-forms", KeyClass.CURSOR),
            witness=SignInLog(store.audit, base),
            messenger=EngineMessenger(engine, inside.server),
            hand_over=EngineHandOver(engine, inside.server, clock),
            dependents=(GrantEnds(store.grant_states), SharedLinks(inside.sharing, clock)),
        ),
    )
    authorization = authorization_server(
        Ports(
            store.clients,
            store.grants,
            store.handles,
            RemoteKeySets(Egress(), clock),
            SessionSignIns(people.sessions),
            Authorizations(store.audit, base),
        ),
        inside.tokens,
        inside.signing_keys,
        Terms(settings.token_lifetime, settings.offline_days, max(1, settings.token_rate // settings.processes)),
        stack.enter_context(Threads()),
        clock,
    )
    cors = Cors(Origins(store.clients, clock))
    gateway = Gateway(authorization, inside.bearer, store.grant_states, inside.signing_keys, cors, clock, url)
    shares = Shares(inside.sharing, Attempts(store.doorway.tallies, clock))
    pages = Pages(Surface(people, engine, authorization, clock, url, base, settings.clinic_name, inside.desk, shares))
    return Entrance(people, pages, gateway)


class SharedLinks:
    """What a person shared while they were here (`smart.signin.sessions.Dependents`)."""

    def __init__(self, sharing: Sharing, clock: Clock) -> None:
        self._sharing, self._clock = sharing, clock

    async def sign_ins_ended(self, sign_ins: Collection[str], why: Ended) -> None:
        """A link is the patient's: it outlives the sign-in in which it was made."""

    async def user_ended(self, user: str, why: Ended) -> None:
        if why is Ended.LEFT:
            await self._sharing.end_of(user, self._clock.now())


def _policy(settings: Settings) -> Policy:
    """None of it can leave staff without a second factor (rows S10, S61)."""
    return Policy(
        settings.base_url,
        settings.clinic_name,
        Effort(settings.password_memory, settings.password_passes),
        Limits(timedelta(seconds=settings.sign_in_idle), timedelta(seconds=settings.sign_in_lifetime)),
        settings.patients_by_password,
    )


def office_of(settings: Settings, law: Law) -> Office:
    """In whose name consent is asked for."""
    identifier = {"identifier": {"value": settings.organization_id}} if settings.organization_id else {}
    name = settings.organization_name or settings.clinic_name
    return Office(name, {"display": name, **identifier}, settings.base_url, law.pack)
