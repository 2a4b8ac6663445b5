"""refresh_token: a new token for an old consent. Each refresh token is good once; one that comes twice ends the family.

RFC 6749 section 6, RFC 9700 section 4.14.2. R-SMART-038 to -041.
"""

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import REPLAYED, Grant
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.issuing import Issuing
from fhir_server.smart.opaque import MOST_TEXT, hashed
from fhir_server.smart.ports import Grants
from fhir_server.smart.scope_grants import covered


class Refreshable:
    """A refresh token as authlib asks about it."""

    def __init__(self, token: bytes, grant: Grant) -> None:
        self.token, self.grant = token, grant

    def check_client(self, client: Client) -> bool:
        return self.grant.client_id == client.client_id

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]  # authlib has no types
    request: Asked
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refreshable | None:
        grants: Grants = self.server.grants
        token = hashed(refresh_token)
        found = grants.refresh(token) if len(refresh_token) <= MOST_TEXT else None
        granted = grants.get(found.grant) if found else None
        if found is None or granted is None or not granted.live:
            return None
        grant, client = granted.grant, self.request.client
        if client is None or grant.client_id != client.client_id:
            return None
        if found.used:
            self._replayed(grant)
            return None
        if grant.until <= self.request.now or not (grant.offline or self.server.signed_in(grant.session)):
            return None
        return Refreshable(token, grant)

    def _validate_token_scope(self, token: Refreshable) -> None:
        """The same or less, never more than was granted."""
        asked = (self.request.payload.scope or "").split()
        if not all(covered(scope, token.grant.scopes) for scope in asked):
            raise InvalidScopeError
        self._scopes = tuple(dict.fromkeys(asked)) or token.grant.scopes

    def authenticate_user(self, refresh_token: Refreshable) -> Grant:
        return refresh_token.grant

    def generate_token(self, user: Grant, **_: object) -> Json:
        """First the one use, in whatever process; then the tokens, of which the next refresh token is one."""
        issuing: Issuing = self.server.issuing
        if not self.server.grants.use_refresh(self.request.refresh_token.token):
            self._replayed(user)
            raise InvalidGrantError
        return issuing.person(self.request, user, self._scopes)

    def revoke_old_credential(self, refresh_token: Refreshable) -> None:
        """It was used up before the new one was made."""

    def _replayed(self, grant: Grant) -> None:
        self.server.grants.end(grant.id, REPLAYED)
        self.request.grant = grant
