"""Introspection: a resource server asks what a token is good for; nobody else learns anything.

RFC 7662; SMART App Launch 2.2 "Token introspection"; IHE ITI-102. R-SMART-072 to -075, R-IUA-003.
"""

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.held import Held, HeldTokens
from fhir_server.smart.scope_grants import INTROSPECTS

_CLAIMS = ("scope", "client_id", "exp", "iat", "iss", "aud", "jti", "sub", "auth_time", "amr", "cnf")


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # authlib has no types
    """A client may ask about its own tokens; about others' only with the scope for it."""

    def authenticate_endpoint_client(self, request: Asked) -> Client:
        """By its own credentials, or, for a resource server, by a token of its own (`server.bearer`)."""
        client: Client = self.server.authenticate_client(request, (), self.ENDPOINT_NAME)
        if client.kind is Kind.PUBLIC:
            raise self.server.no_credentials()
        request.client = client
        self._now = request.now
        return client

    def check_params(self, request: Asked, client: Client) -> None:
        if not request.form.get("token"):
            raise InvalidRequestError("There is no token to look at.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | None:
        held: HeldTokens = self.server.held
        return held.find(token_string, self._now)

    def check_permission(self, token: Held, client: Client, request: Asked) -> bool:
        return token.check_client(client) or INTROSPECTS in client.scopes

    def introspect_token(self, token: Held) -> Json:
        """Of a refresh token only that it is one: what it may become is the authorization server's business."""
        grant = token.grant
        if not token.claims:
            return {"active": True, "client_id": grant.client_id, "exp": int(grant.until.timestamp())}
        told = {name: token.claims[name] for name in _CLAIMS if name in token.claims}
        context = {"patient": grant.patient, "encounter": grant.encounter}
        given = {name: value for name, value in context.items() if value}
        who = {"fhirUser": f"{self.server.base}/{grant.fhir_user}"} if grant.fhir_user else {}
        extensions = {"extensions": token.claims["extensions"]} if "extensions" in token.claims else {}
        kind = "DPoP" if "cnf" in told else "Bearer"
        return {"active": True, "token_type": kind, **told, **given, **grant.context, **who, **extensions}
