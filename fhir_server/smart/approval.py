"""What passes between the authorization endpoint and the pages where a person signs in and consents.

RFC 6749 section 4.1.1; SMART App Launch 2.2 "Obtain authorization code".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pending:
    """An authorization request that was found valid and waits for a person.

    `scopes` are those asked for that the client may have, in the order of the request. `patient` and `encounter` are
    ids given by an EHR launch. `needs_patient`: a launch context of a patient is to be chosen. `prompt`, `login_hint`
    and `max_age` (seconds) are OpenID Connect's.
    """

    id: str
    client_id: str
    client_name: str
    scopes: tuple[str, ...]
    needs_patient: bool
    patient: str | None
    encounter: str | None
    prompt: tuple[str, ...]
    login_hint: str | None
    max_age: int | None
    ui_locales: tuple[str, ...]
    expires: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """Who signed in, how and when, and what was granted of what was asked.

    `subject` is the user's stable id, `role` the one role in which the token will act, `methods` are amr values
    (RFC 8176), `session` the sign-in that ends what hangs on it when it is ended.
    """

    subject: str
    username: str
    name: str
    role: str
    fhir_user: str | None
    scopes: tuple[str, ...]
    patient: str | None
    encounter: str | None
    signed_in: datetime
    methods: tuple[str, ...]
    session: str


class Authorizations(Protocol):
    """Answers are the address to which the browser is sent back."""

    async def pending(self, id: str) -> Pending | None:
        """None where there is no such request, or it expired or was answered."""
        ...

    async def approve(self, id: str, approval: Approval) -> str: ...

    async def deny(self, id: str, error: str = "access_denied") -> str: ...
