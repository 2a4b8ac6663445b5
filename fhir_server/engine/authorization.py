"""What the authorization server did, as a value that can be recorded.

RFC 6749, RFC 7009, RFC 7662; IHE BALP 1.1, ITI-71.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fhir_server.engine.call import Principal


class Deed(StrEnum):
    """What was asked of it."""

    AUTHORIZE = "authorize"
    TOKEN = "token"  # noqa: S105  what was asked for, not a password
    REVOKE = "revoke"
    INTROSPECT = "introspect"
    LAUNCH = "launch"


@dataclass(frozen=True, slots=True)
class AuthorizationEvent:
    """One request and what came of it. `failure` is the OAuth error code, empty where it succeeded.

    `request` is the request without anything that opens something. `principal` is who the token is, or was, about;
    `grant` what it is of. `patient` is the id of the patient in context.
    """

    deed: Deed
    instant: datetime
    client_id: str
    request: str = field(default="", repr=False)
    failure: str = ""
    description: str = ""
    principal: Principal | None = None
    grant: str = ""
    patient: str | None = None
    request_id: str = ""
    client_address: str = ""
