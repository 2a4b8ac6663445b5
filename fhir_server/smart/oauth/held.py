"""What a token is that somebody shows: an access token, a refresh token, or nothing of ours that still holds.

RFC 7009 section 2.1, RFC 7662 section 2. The type is found out from the token; hints are not needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import Grant
from fhir_server.smart.opaque import MOST_TEXT, hashed
from fhir_server.smart.ports import Grants
from fhir_server.smart.token import Tokens


@dataclass(frozen=True, slots=True)
class Held:
    """A token that holds. `claims` are those of an access token; a refresh token has none."""

    grant: Grant
    claims: Mapping[str, Any]

    @property
    def token_id(self) -> str:
        return str(self.claims.get("jti", ""))

    def check_client(self, client: Client) -> bool:
        return self.grant.client_id == client.client_id

    def is_expired(self) -> bool:
        """Never: one that has is not found."""
        return False

    def is_revoked(self) -> bool:
        return False


class HeldTokens:
    def __init__(self, grants: Grants, tokens: Tokens) -> None:
        self._grants, self._tokens = grants, tokens

    def find(self, token: str, now: datetime) -> Held | None:
        """None for what is unknown, expired, used up, or of a grant that has ended."""
        if token.count(".") == 2:  # noqa: PLR2004  a JWT has three parts
            return self._access(token, now)
        found = self._grants.refresh(hashed(token)) if 0 < len(token) <= MOST_TEXT else None
        granted = self._grants.get(found.grant) if found and not found.used else None
        if granted is None or not granted.live or granted.grant.until <= now:
            return None
        return Held(granted.grant, {})

    def _access(self, token: str, now: datetime) -> Held | None:
        try:
            claims = self._tokens.claims(token, now)
        except UnauthenticatedError:
            return None
        granted = self._grants.get(str(claims["grant"]))
        return Held(granted.grant, claims) if granted and granted.live else None
