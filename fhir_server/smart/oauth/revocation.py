"""Revocation: a client says that it needs a token no more; all that came of the same consent ends with it, everywhere.

RFC 7009. R-SMART-042.
"""

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint

from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import REVOKED
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.held import Held, HeldTokens


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # authlib has no types
    """`server.held` finds out what a token is; one that is unknown, expired or revoked already is no error."""

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | None:
        held: HeldTokens = self.server.held
        return held.find(token_string, self._now)

    def authenticate_token(self, request: Asked, client: Client) -> Held | None:
        self._now = request.now
        found: Held | None = super().authenticate_token(request, client)
        return found

    def check_params(self, request: Asked, client: Client) -> None:
        """A hint that is not known is ignored: it is but a hint (RFC 7009 2.1)."""
        if not request.form.get("token"):
            raise InvalidRequestError("There is no token to revoke.")

    def revoke_token(self, token: Held, request: Asked) -> None:
        request.grant, request.token_id = token.grant, token.token_id
        self.server.grants.end(token.grant.id, REVOKED)
