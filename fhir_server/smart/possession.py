"""Who sends a request: by a bearer token, or by one that is bound to a key, with a proof of that key.

RFC 6750; RFC 9449 sections 7.1, 7.2 and 11.1: a token that is bound to a key is no bearer token, and a proof is good
once, in whatever process.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fhir_server.engine.call import Principal
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.dpop import Proof, proof_of
from fhir_server.smart.ports import Handles

_HANDLE = "dpop"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of its sender. `url`: beside a proof, its external address without query."""

    authorization: str | None = field(repr=False)
    proofs: Sequence[str] = field(repr=False)
    method: str = ""
    url: str = ""


class Possession:
    def __init__(self, bearer: Bearer, handles: Handles) -> None:
        self._bearer, self._handles = bearer, handles

    async def authenticate(self, shown: Shown, now: datetime) -> Principal:
        """Raises UnauthenticatedError where there is no token, not a valid one, or not its key."""
        scheme, _, token = (shown.authorization or "").partition(" ")
        if scheme.casefold() != "dpop":
            return self._bearer.authenticate(shown.authorization, now)
        principal = self._bearer.authenticate(f"Bearer {token}", now, bound=True)
        proof = await self.proven(shown, now, token.strip())
        if principal.capture is None or proof.thumbprint != principal.capture.key:
            raise UnauthenticatedError("The token is not bound to the key of the proof.")
        return principal

    async def proven(self, shown: Shown, now: datetime, token: str | None = None) -> Proof:
        """The one proof of a request, for the first time."""
        if len(shown.proofs) != 1:
            raise UnauthenticatedError("One DPoP proof is needed.")
        proof = proof_of(shown.proofs[0], shown.method, shown.url, now, token)
        name = f"{proof.thumbprint}\0{proof.jti}"
        if not await asyncio.to_thread(self._handles.once, _HANDLE, name, proof.ends):
            raise UnauthenticatedError("The DPoP proof was used before: each has a jti of its own.")
        return proof
