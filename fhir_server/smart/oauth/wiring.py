"""The authorization server, put together: one place where its parts meet.

ADR 9: grants and endpoints are authlib's; clients, scopes, keys and the log are ours.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.smart.oauth.approvals import Approvals
from fhir_server.smart.oauth.assertion import Assertions
from fhir_server.smart.oauth.authorize import AuthorizationRequests
from fhir_server.smart.oauth.client_auth import ClientAuthentication
from fhir_server.smart.oauth.held import HeldTokens
from fhir_server.smart.oauth.issuing import Issuing, Lifetimes
from fhir_server.smart.oauth.limits import Limits
from fhir_server.smart.oauth.server import Behind, Server
from fhir_server.smart.oauth.service import Authorization, Journal, Parts
from fhir_server.smart.oauth.threads import Threads
from fhir_server.smart.oidc.id_token import IdTokens
from fhir_server.smart.oidc.signing_keys import SigningKeys
from fhir_server.smart.ports import Clients, Grants, GrantStates, Handles, RemoteKeys, SignIns
from fhir_server.smart.signin.sessions import Ended, Sessions
from fhir_server.smart.token import Tokens

_ONLINE = timedelta(hours=12)
"""How long an app with `online_access` may go on at most, however long the sign-in lives."""


@dataclass(frozen=True, slots=True)
class Ports:
    clients: Clients
    grants: Grants
    handles: Handles
    remote: RemoteKeys
    sign_ins: SignIns
    journal: Journal


class SessionSignIns:
    """`smart.ports.SignIns` on the sign-ins of people."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def alive(self, session: str) -> bool:
        """Asking does not keep anybody signed in."""
        return await self._sessions.live(session) is not None


class GrantEnds:
    """What hangs on a sign-in, or on a person, ends with it (`smart.signin.sessions.Dependents`)."""

    def __init__(self, grants: GrantStates) -> None:
        self._grants = grants

    async def sign_ins_ended(self, sign_ins: Collection[str], why: Ended) -> None:
        for sign_in in sign_ins:
            await self._grants.end_all(f"session/{sign_in}", why.value)

    async def user_ended(self, user: str, why: Ended) -> None:
        await self._grants.end_all(f"subject/{user}", why.value)


@dataclass(frozen=True, slots=True)
class Terms:
    """`lifetime` is an access token's, in seconds; `rate` how many of them one client gets in a second."""

    lifetime: int
    offline_days: int
    rate: float

    @property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(timedelta(seconds=self.lifetime), timedelta(days=self.offline_days), _ONLINE)


def authorization_server(
    ports: Ports, tokens: Tokens, keys: SigningKeys, terms: Terms, threads: Threads, clock: Clock
) -> Authorization:
    issuer, base = tokens.issuer, tokens.audience
    id_tokens, limits = IdTokens(keys, issuer, base), Limits(terms.rate)
    endpoints = [f"{issuer}/auth/{name}" for name in ("token", "introspect", "revoke")]
    assertions = Assertions(ports.clients, ports.handles, ports.remote)

    def signed_in(session: str | None) -> bool:
        return session is not None and threads.wait_for(lambda: ports.sign_ins.alive(session))

    server = Server(
        Behind(
            ports.clients,
            ports.grants,
            ClientAuthentication(ports.clients, ports.grants, assertions, endpoints, limits),
            Issuing(ports.grants, tokens, id_tokens, random_id, terms.lifetimes),
            HeldTokens(ports.grants, tokens),
            limits,
            signed_in,
            base,
        )
    )
    requests = AuthorizationRequests(server, ports.handles, issuer, base)
    approvals = Approvals(server, requests, ports.handles, issuer, random_id)
    return Authorization(
        Parts(server, requests, approvals, ports.handles, limits, threads, ports.journal, clock, id_tokens, issuer)
    )
