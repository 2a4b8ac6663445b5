"""Who calls the token endpoint: the client's kind decides how it has to prove itself, and no other way will do.

RFC 6749 sections 2.3, 3.2.1 and 6, RFC 7617; R-SMART-026, -027, -029, -038, -083.
"""

import base64
import binascii
from collections.abc import Collection
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError

from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.assertion import TYPE, Assertions, claimed_by
from fhir_server.smart.oauth.limits import Limits
from fhir_server.smart.opaque import MOST_TEXT, hashed
from fhir_server.smart.ports import Clients, Grants

_LONGEST_ID = 255


class ClientAuthentication:
    """`audiences`: what an assertion may be made for."""

    def __init__(
        self, clients: Clients, grants: Grants, assertions: Assertions, audiences: Collection[str], limits: Limits
    ) -> None:
        self._clients, self._grants = clients, grants
        self._assertions, self._audiences, self._limits = assertions, audiences, limits

    def of(self, asked: Asked) -> Client:
        """Raises InvalidClientError, InvalidRequestError where it tries several ways, TooManyRequestsError."""
        claimed = asked.claimed_client = self._claimed(asked)
        self._limits.may_fail(claimed, asked.caller.address, asked.now)
        try:
            client = self._proved(asked)
        except InvalidClientError:
            self._limits.failed(claimed, asked.caller.address, asked.now)
            raise
        asked.claimed_client = client.client_id
        return client

    def _claimed(self, asked: Asked) -> str:
        """Who it says it is, in whatever way; believed by nobody."""
        named = asked.form.get("client_id") or _basic(asked.headers.get("authorization", ""))[0]
        return (named or claimed_by(asked.form.get("client_assertion", "")) or self._holder(asked))[:_LONGEST_ID]

    def _proved(self, asked: Asked) -> Client:
        form, authorization = asked.form, asked.headers.get("authorization", "")
        signs = "client_assertion" in form or "client_assertion_type" in form
        if signs + bool(form.get("client_secret")) + bool(authorization) > 1:
            raise InvalidRequestError("A client authenticates in one way at a time.")
        if authorization:
            client = self._by_secret(*_basic(authorization))
        elif signs:
            client = self._by_assertion(asked)
        elif form.get("client_secret"):
            client = self._by_secret(form.get("client_id", ""), form["client_secret"])
        else:
            client = self._public(form.get("client_id") or self._holder(asked))
        # Basic together with the same client_id in the form is borne: widely used clients send both.
        if form.get("client_id", client.client_id) != client.client_id:
            raise _refused()
        return client

    def _by_secret(self, client_id: str, secret: str) -> Client:
        client = self._known(client_id)
        if client.kind is not Kind.SYMMETRIC or not client.knows(secret):
            raise _refused()
        return client

    def _by_assertion(self, asked: Asked) -> Client:
        if asked.form.get("client_assertion_type") != TYPE:
            raise _refused(f"client_assertion_type must be {TYPE}")
        return self._assertions.authenticate(asked.form.get("client_assertion", ""), self._audiences, asked.now)

    def _public(self, client_id: str) -> Client:
        client = self._known(client_id)
        if client.kind is not Kind.PUBLIC:
            raise _refused()
        return client

    def _holder(self, asked: Asked) -> str:
        """Whose refresh token it is that comes without a name: RFC 6749 section 6 asks a public client for none.

        The name is no secret, so that leaving it out proves no less; a client that has a secret or a key is refused.
        """
        token = asked.form.get("refresh_token", "") if asked.form.get("grant_type") == "refresh_token" else ""
        found = self._grants.refresh(hashed(token)) if 0 < len(token) <= MOST_TEXT else None
        granted = self._grants.get(found.grant) if found else None
        return granted.grant.client_id if granted else ""

    def _known(self, client_id: str) -> Client:
        client = self._clients.get(client_id) if 0 < len(client_id) <= _LONGEST_ID else None
        if client is None or client.disabled:
            raise _refused()
        return client


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret, each form-encoded before they were put together (RFC 6749 2.3.1); empty where there are none."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (unquote_plus(id), unquote_plus(secret)) if scheme.casefold() == "basic" else ("", "")


def _refused(why: str = "Client authentication failed.") -> InvalidClientError:
    return InvalidClientError(description=why)
