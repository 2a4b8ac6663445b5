"""The authorization code: made when a person has consented, redeemed once by the app that asked, with its PKCE proof.

RFC 6749 section 4.1, RFC 7636, RFC 9700 section 2.1.1. R-SMART-012 to -021, -028, -029.
"""

import re
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import REPLAYED, Code, Grant
from fhir_server.smart.oauth.asked import Asked
from fhir_server.smart.oauth.issuing import Issuing
from fhir_server.smart.opaque import MOST_TEXT, hashed, new_secret
from fhir_server.smart.ports import Grants

CODE_LIFETIME = timedelta(seconds=60)
_REMEMBERED = timedelta(minutes=10)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Redeemable:
    """An authorization code as authlib asks about it."""

    code_challenge_method = "S256"

    def __init__(self, grant: Grant, code: Code) -> None:
        self.grant, self.code_challenge = grant, code.challenge
        self._redirect_uri = code.redirect_uri

    def get_redirect_uri(self) -> str:
        return self._redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
    request: Asked

    def create_authorization_response(self, redirect_uri: str, grant_user: Grant) -> str:
        """The code for a grant that a person gave, written down as its hash. `grant_user` has no code yet."""
        grants: Grants = self.server.grants
        code = new_secret()
        grants.add(grant_user, self.request.now + CODE_LIFETIME + _REMEMBERED, hashed(code))
        return code

    def query_authorization_code(self, code: str, client: Client) -> Redeemable | None:
        """A second use ends what the first one gave (RFC 6749 4.1.2): one of the two was a thief's."""
        grants: Grants = self.server.grants
        found = grants.by_code(hashed(code)) if len(code) <= MOST_TEXT else None
        if found is None or found.grant.client_id != client.client_id or found.grant.code is None:
            return None
        if found.redeemed:
            self._replayed(found.grant)
            return None
        if found.grant.code.expires <= self.request.now:
            return None
        return Redeemable(found.grant, found.grant.code)

    def authenticate_user(self, authorization_code: Redeemable) -> Grant:
        return authorization_code.grant

    def generate_token(self, user: Grant, **_: object) -> Json:
        """First the one use, in whatever process; then the tokens."""
        issuing: Issuing = self.server.issuing
        if not self.server.grants.redeem(user.id, user.until + _REMEMBERED):
            self._replayed(user)
            raise InvalidGrantError
        return issuing.person(self.request, user, user.scopes)

    def delete_authorization_code(self, authorization_code: Redeemable) -> None:
        """It stays, used up, so that a second use is noticed."""

    def _replayed(self, grant: Grant) -> None:
        self.server.grants.end(grant.id, REPLAYED)
        self.request.grant = grant


class S256(CodeChallenge):  # type: ignore[misc]  # authlib has no types
    """PKCE for every client, by S256 alone: `plain`, or none, is no proof (R-SMART-017)."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": CodeChallenge.CODE_CHALLENGE_METHODS["S256"]}  # noqa: RUF012  authlib's own

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:  # noqa: ANN401  an authlib grant
        fields = grant.request.payload.data
        if fields.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256.")
        if not _CHALLENGE.fullmatch(fields.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge must be the 43 characters of a SHA-256 in base64url.")
