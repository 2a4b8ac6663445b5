"""The answer of the token endpoint: tokens, what they are good for, and the launch context.

RFC 6749 section 5.1; SMART App Launch 2.2 "Access token response". R-SMART-030, -032, -034 to -036, -038, -040, -084.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.engine.call import Principal
from fhir_server.kernel.identity import NewId
from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import Grant
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oidc.id_token import IdTokens
from fhir_server.smart.opaque import hashed, new_secret
from fhir_server.smart.ports import Grants
from fhir_server.smart.token import Claims, Tokens

_BACKEND_LIFETIME = timedelta(seconds=300)
_AFTERWARDS = timedelta(minutes=5)
"""How long a row stays after the last token of its grant has expired."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """`token` is an access token's; `offline` and `online` are a family's, from the consent to its absolute end."""

    token: timedelta
    offline: timedelta
    online: timedelta


class Issuing:
    def __init__(
        self, grants: Grants, tokens: Tokens, id_tokens: IdTokens, new_id: NewId, lifetimes: Lifetimes
    ) -> None:
        self._grants, self._tokens, self._id_tokens, self._new_id = grants, tokens, id_tokens, new_id
        self.lifetimes = lifetimes

    def backend(self, asked: Asked, client: Client, scopes: tuple[str, ...]) -> Json:
        """A token for a client that acts for nobody; a grant of its own, so that it can be ended alone."""
        lifetime = min(self.lifetimes.token, _BACKEND_LIFETIME)
        grant = Grant(
            self._new_id(),
            client.client_id,
            scopes,
            client.client_id,
            client.purposes,
            asked.now + lifetime,
            role="system",
            name=client.name,
        )
        self._grants.add(grant, grant.until + _AFTERWARDS)
        return self._body(asked, grant, scopes, lifetime) | {"token_type": "bearer"}

    def person(self, asked: Asked, grant: Grant, scopes: tuple[str, ...]) -> Json:
        """A token for a person's app, with a refresh token where one was granted. Never beyond the grant's end."""
        lifetime = min(self.lifetimes.token, grant.until - asked.now)
        body = self._body(asked, grant, scopes, lifetime)
        context = {"patient": grant.patient, "encounter": grant.encounter}
        body |= {name: value for name, value in context.items() if value} | grant.context
        if grant.refreshable:
            refresh = new_secret()
            self._grants.add_refresh(hashed(refresh), grant.id, grant.until + _AFTERWARDS)
            body["refresh_token"] = refresh
        if "openid" in scopes:
            body["id_token"] = self._id_tokens.issue(grant, scopes, body["access_token"], asked.now)
        return body

    def ends(self, grant: Grant) -> timedelta:
        """How long the family may live."""
        if grant.offline:
            return self.lifetimes.offline
        return self.lifetimes.online if grant.refreshable else self.lifetimes.token

    def _body(self, asked: Asked, grant: Grant, scopes: Sequence[str], lifetime: timedelta) -> Json:
        claims = Claims(
            grant.subject,
            grant.client_id,
            tuple(scopes),
            lifetime,
            grant.patient,
            grant.fhir_user,
            grant.id,
            grant.role,
            grant.purposes,
            grant.name,
            grant.encounter,
            grant.signed_in,
            grant.methods,
        )
        token, asked.token_id = self._tokens.issue(claims, asked.now)
        asked.grant = grant
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
            "scope": " ".join(scopes),
        }


def holder(grant: Grant, issuer: str, token_id: str) -> Principal:
    """Who a token is about, for the log."""
    return Principal(
        grant.subject,
        grant.client_id,
        issuer,
        token_id,
        grant.scopes,
        grant.patient,
        grant.fhir_user,
        grant.name,
        grant.role,
        grant.purposes,
        grant.id,
    )
