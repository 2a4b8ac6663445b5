"""The authorization server as the event loop sees it: each request in a thread, each outcome recorded first.

RFC 6749, RFC 7009, RFC 7662; IHE BALP, ITI-71. Implements `approval.Authorizations` for the sign-in pages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fhir_server.engine.authorization import AuthorizationEvent, Deed
from fhir_server.engine.call import Principal
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.smart import launch as launches
from fhir_server.smart.approval import Approval, Pending
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.launch import Launch, LaunchError
from fhir_server.smart.oauth.answer import (
    Answer,
    TemporarilyUnavailableError,
    TooManyRequestsError,
    description,
    refusal,
)
from fhir_server.smart.oauth.approvals import Approvals
from fhir_server.smart.oauth.asked import Asked, Caller
from fhir_server.smart.oauth.authorize import AuthorizationRequests
from fhir_server.smart.oauth.issuing import holder
from fhir_server.smart.oauth.limits import Limits
from fhir_server.smart.oauth.server import Server
from fhir_server.smart.oauth.threads import Threads
from fhir_server.smart.oidc.id_token import IdTokens
from fhir_server.smart.opaque import new_secret
from fhir_server.smart.ports import Handles


class Journal(Protocol):
    async def record(self, event: AuthorizationEvent) -> None:
        """Durable when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    server: Server
    requests: AuthorizationRequests
    approvals: Approvals
    handles: Handles
    limits: Limits
    threads: Threads
    journal: Journal
    clock: Clock
    id_tokens: IdTokens
    issuer: str


class Authorization:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def token(self, asked: Asked) -> Answer:
        return await self._answered(Deed.TOKEN, asked, self._parts.server.token)

    async def revoke(self, asked: Asked) -> Answer:
        return await self._answered(Deed.REVOKE, asked, self._parts.server.revoke)

    async def introspect(self, asked: Asked, bearer: Principal | None) -> Answer:
        """`bearer` is whose token came with it, where one did: a resource server that may ask about any."""
        if bearer is not None:
            asked.client = await self._parts.threads.run(self._parts.server.query_client, bearer.client_id)
            asked.claimed_client = bearer.client_id
        return await self._answered(Deed.INTROSPECT, asked, self._parts.server.introspect)

    async def authorize(self, asked: Asked) -> str:
        """Where to send the browser. Raises WrongPlaceError where it must not be sent anywhere."""
        parts = self._parts
        try:
            parts.limits.authorization(asked.caller.address, asked.now)
        except TooManyRequestsError:
            raise UnavailableError("Too many requests; try again later.") from None
        address: str = await parts.threads.run(parts.requests.begin, asked)
        if asked.refused is not None:
            await parts.journal.record(self._event(Deed.AUTHORIZE, asked))
        return address

    async def pending(self, id: str) -> Pending | None:
        return await self._parts.threads.run(self._parts.approvals.pending, id, self._parts.clock.now())

    async def approve(self, id: str, approval: Approval) -> str:
        return await self._decided(lambda caller: self._parts.approvals.approve(id, approval, caller))

    async def deny(self, id: str, error: str = "access_denied") -> str:
        return await self._decided(lambda caller: self._parts.approvals.deny(id, error, caller))

    async def launch(self, launch: Launch, by: Principal, caller: Caller) -> Json:
        """A handle for the app that the launch is for. Raises LaunchError where there is no such app."""
        parts = self._parts
        app: Client | None = await parts.threads.run(parts.server.query_client, launch.client_id)
        if app is None or app.kind is Kind.BACKEND:
            raise LaunchError("client_id names no app that is registered here.")
        handle = new_secret()
        await parts.threads.run(
            parts.handles.put, launches.HANDLE, handle, launch.encoded(), caller.now + launches.LIFETIME
        )
        event = AuthorizationEvent(
            Deed.LAUNCH,
            caller.now,
            by.client_id,
            f"launch of {launch.client_id}",
            principal=by,
            grant=by.grant,
            patient=launch.patient,
            request_id=caller.request_id,
            client_address=caller.address,
        )
        await parts.journal.record(event)
        told: Json = {"launch": handle, "expires_in": int(launches.LIFETIME.total_seconds())}
        return told | ({"launch_url": app.launch_url} if app.launch_url else {})

    def person(self, holder: Principal) -> Json:
        """What the scopes of a token tell of who holds it (OpenID Connect Core 5.3)."""
        told = self._parts.id_tokens.person
        return told(holder.subject, holder.name, holder.fhir_user, holder.scopes)

    async def _answered(self, deed: Deed, asked: Asked, do: Callable[[Asked], Answer]) -> Answer:
        try:
            answer = await self._parts.threads.run(do, asked)
            await self._parts.journal.record(self._event(deed, asked))
        except UnavailableError:
            return refusal(TemporarilyUnavailableError("The database does not answer as it should; try again."))
        return answer

    async def _decided(self, decide: Callable[[Caller], tuple[str, Asked]]) -> str:
        address, asked = await self._parts.threads.run(decide, Caller(self._parts.clock.now()))
        await self._parts.journal.record(self._event(Deed.AUTHORIZE, asked))
        return address

    def _event(self, deed: Deed, asked: Asked) -> AuthorizationEvent:
        grant, refused = asked.grant, asked.refused
        return AuthorizationEvent(
            deed,
            asked.now,
            asked.claimed_client or asked.form.get("client_id", "")[:255],
            f"{asked.method} {asked.uri}\n\n{asked.payload.recorded}",
            refused.error if refused else "",
            description(refused) if refused else "",
            holder(grant, self._parts.issuer, asked.token_id) if grant else None,
            grant.id if grant else "",
            grant.patient if grant else None,
            asked.caller.request_id,
            asked.caller.address,
        )
