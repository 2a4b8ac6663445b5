"""client_credentials: a back end asks for a token of its own.

RFC 6749 section 4.4; SMART App Launch 2.2 "Backend services". R-SMART-076, -083, -084; R-BULK-037.
"""

from authlib.oauth2.rfc6749 import InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from fhir_server.kernel.json import Json
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.issuing import Issuing
from fhir_server.smart.scope_grants import for_backend


class CredentialsGrant(ClientCredentialsGrant):  # type: ignore[misc]  # authlib has no types
    """`server.issuing` writes the grant down as the token is made."""

    request: Asked

    def validate_requested_scope(self) -> None:
        """All that is asked for, or nothing: a token with less would surprise later."""
        client = self.request.client
        assert client is not None, "authlib authenticates before it asks for scopes"
        scopes = for_backend((self.request.payload.scope or "").split(), client.scopes)
        if scopes is None:
            raise InvalidScopeError
        self._granted = client, scopes

    def generate_token(self, **_: object) -> Json:
        issuing: Issuing = self.server.issuing
        return issuing.backend(self.request, *self._granted)
