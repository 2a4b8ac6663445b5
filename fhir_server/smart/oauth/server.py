"""authlib's authorization server, fitted to this one: which grants and endpoints there are, and what is behind them.

ADR 9. Synchronous, and used from many threads at once: nothing of a request is kept here, all of it on the request.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidClientError

from fhir_server.smart.clients.client import Client
from fhir_server.smart.oauth.answer import Answer, refusal, success
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.client_auth import ClientAuthentication
from fhir_server.smart.oauth.code_grant import S256, CodeGrant
from fhir_server.smart.oauth.credentials_grant import CredentialsGrant
from fhir_server.smart.oauth.held import HeldTokens
from fhir_server.smart.oauth.introspection import Introspection
from fhir_server.smart.oauth.issuing import Issuing
from fhir_server.smart.oauth.limits import Limits
from fhir_server.smart.oauth.refresh_grant import RefreshGrant
from fhir_server.smart.oauth.revocation import Revocation
from fhir_server.smart.ports import Clients, Grants


@dataclass(frozen=True, slots=True)
class Behind:
    """What the server works with. `signed_in` tells, to a worker thread, whether a sign-in still lives."""

    clients: Clients
    grants: Grants
    authentication: ClientAuthentication
    issuing: Issuing
    held: HeldTokens
    limits: Limits
    signed_in: Callable[[str | None], bool]
    base: str


class Server(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    def __init__(self, behind: Behind) -> None:
        super().__init__()
        # Its debug messages hold tokens.
        logging.getLogger("authlib").setLevel(logging.WARNING)
        self._clients, self._authentication = behind.clients, behind.authentication
        self.grants, self.issuing, self.held, self.base = behind.grants, behind.issuing, behind.held, behind.base
        self._limits, self.signed_in = behind.limits, behind.signed_in
        self.register_grant(CodeGrant, [S256(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(CredentialsGrant)

    def query_client(self, client_id: str) -> Client | None:
        client = self._clients.get(client_id)
        return None if client is None or client.disabled else client

    def authenticate_client(self, request: Asked, methods: Sequence[str], endpoint: str = "token") -> Client:
        if request.client is None:
            request.client = self._authentication.of(request)
        if endpoint == "token":
            self._limits.token(request.client.client_id, request.now)
        return request.client

    def no_credentials(self) -> InvalidClientError:
        return InvalidClientError(description="Client authentication failed.")

    def create_oauth2_request(self, request: Asked) -> Asked:
        return request

    def save_token(self, token: Mapping[str, Any], request: Asked) -> None:
        """Each was written down as it was made."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """What happened is recorded from the request."""

    def handle_response(self, status: int, body: Mapping[str, Any], headers: object) -> Answer:
        return success(dict(body))

    def handle_error_response(self, request: Asked, error: OAuth2Error) -> Answer:
        raise error

    def token(self, asked: Asked) -> Answer:
        return self._answer(asked, self.create_token_response)

    def revoke(self, asked: Asked) -> Answer:
        return self._answer(asked, lambda one: success(Revocation(self)(one)[1]))

    def introspect(self, asked: Asked) -> Answer:
        return self._answer(asked, lambda one: success(Introspection(self)(one)[1]), challenge=True)

    def _answer(self, asked: Asked, do: Callable[[Asked], Any], *, challenge: bool = False) -> Answer:
        """An endpoint of authlib's keeps things of a request on itself, so each request has one of its own."""
        try:
            asked.payload.require_unrepeated()
            answer: Answer = do(asked)
        except OAuth2Error as error:
            asked.refused = error
            return refusal(error, challenge=challenge or "authorization" in asked.headers)
        return answer
