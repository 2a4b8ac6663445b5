"""Sessions in which a device brings photographs: a short-lived token, bound to its key, a patient and a decision.

Requirements S86, T35, T37, M20; RFC 9449. It ends with the sign-in of whoever began it, and cannot be renewed.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_server.engine.call import Capture, Principal
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.identity import NewId
from fhir_server.smart.grant import Grant
from fhir_server.smart.ports import Grants
from fhir_server.smart.token import Claims, Tokens

LIFETIME = timedelta(minutes=15)
SCOPES = ("patient/Media.cru",)
"""Beyond them `media.captured` says what is done with such a token."""


@dataclass(frozen=True, slots=True)
class Session:
    """`token` is of the type DPoP."""

    token: str = field(repr=False)
    expires: datetime


class CaptureSessions:
    def __init__(self, tokens: Tokens, grants: Grants, new_id: NewId) -> None:
        self._tokens, self._grants, self._new_id = tokens, grants, new_id

    async def begin(self, principal: Principal, patient: str, capture: Capture, now: datetime) -> Session:
        """Raises ForbiddenError where the caller's own grant is not there to hang it on."""
        above = await asyncio.to_thread(self._grants.get, principal.grant)
        if above is None or not above.live:
            raise ForbiddenError("A capture session hangs on a grant in force.")
        ends = min(now + LIFETIME, above.grant.until)
        grant = Grant(
            self._new_id(), principal.client_id, SCOPES, principal.subject, principal.purposes, ends,
            role=principal.role, name=principal.name, fhir_user=principal.fhir_user, patient=patient,
            session=above.grant.session, signed_in=above.grant.signed_in, methods=above.grant.methods,
        )  # fmt: skip
        await asyncio.to_thread(self._grants.add, grant, grant.until)
        claims = Claims(
            grant.subject, grant.client_id, grant.scopes, ends - now, patient, grant.fhir_user, grant.id, grant.role,
            grant.purposes, grant.name, None, grant.signed_in, grant.methods, capture,
        )  # fmt: skip
        return Session(self._tokens.issue(claims, now)[0], ends)
