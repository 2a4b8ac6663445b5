"""From the Authorization header to a Principal; a token's signature is checked once while it lives.

RFC 6750 section 2.1: the header is the only way in; a token in a URL or a form is not looked at.
"""

from collections import OrderedDict
from datetime import datetime

from fhir_server.engine.call import Principal
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.smart.token import Tokens

_MOST_KEPT = 10_000


class Bearer:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._seen: OrderedDict[str, tuple[Principal, datetime]] = OrderedDict()

    def authenticate(self, authorization: str | None, now: datetime, *, bound: bool = False) -> Principal:
        """Raises UnauthenticatedError where there is no token or not a valid one.

        One that is bound to a key is good only where its holder was asked for that key, which `bound` says.
        """
        if not authorization:
            raise UnauthenticatedError("A bearer token is needed.")
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.casefold() != "bearer" or not token:
            raise UnauthenticatedError("The Authorization header must be: Bearer, a space, the token.")
        principal, expires = self._seen.get(token) or self._verified(token, now)
        if expires <= now:
            self._seen.pop(token, None)
            raise UnauthenticatedError("The bearer token is not valid, not for this server, or expired.")
        if principal.capture is not None and not bound:
            raise UnauthenticatedError("The token is bound to a key: its scheme is DPoP, with a proof.")
        return principal

    def _verified(self, token: str, now: datetime) -> tuple[Principal, datetime]:
        verified = self._tokens.verify(token, now)
        self._seen[token] = verified
        if len(self._seen) > _MOST_KEPT:
            self._seen.popitem(last=False)
        return verified
