"""What a person, or a client's own registration, granted: every token of it bears its id and ends with it.

RFC 6749 section 1.3; SMART App Launch 2.2 "Launch context". Sealed as one value when the authorization code is made, or
the token of a backend; it never changes after that, but for its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fhir_server.kernel import json
from fhir_server.kernel.json import Json

REVOKED, REPLAYED, CLIENT_ENDED = "revoked", "replayed", "client-ended"
"""Why a grant ended by itself; one that ends with a sign-in or a person has the reason of that (`signin.Ended`)."""

FACTOR_REMOVED = "factor-removed"
"""After this the holder is told to authenticate better, not merely again (RFC 9470)."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the authorization code is bound to (R-SMART-020). `challenge` is PKCE's, by S256."""

    redirect_uri: str
    challenge: str
    nonce: str | None
    expires: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """`until` is its absolute end. `session` is the sign-in it hangs on; `methods` are amr values.

    `context` holds further members of the token response as they go to the client (`need_patient_banner`, …).
    """

    id: str
    client_id: str
    scopes: tuple[str, ...]
    subject: str
    purposes: tuple[str, ...]
    until: datetime
    role: str | None = None
    name: str | None = None
    fhir_user: str | None = None
    patient: str | None = None
    encounter: str | None = None
    session: str | None = None
    signed_in: datetime | None = None
    methods: tuple[str, ...] = ()
    context: Json = field(default_factory=dict)
    code: Code | None = None

    @property
    def offline(self) -> bool:
        """Does it outlive the sign-in?"""
        return "offline_access" in self.scopes

    @property
    def refreshable(self) -> bool:
        return self.offline or "online_access" in self.scopes

    @property
    def owners(self) -> tuple[str, ...]:
        """With whose end it ends."""
        of_session = (f"session/{self.session}",) if self.session and not self.offline else ()
        return (f"client/{self.client_id}", f"subject/{self.subject}", *of_session)

    def encoded(self) -> bytes:
        return json.encode(
            {
                "client_id": self.client_id,
                "scopes": self.scopes,
                "subject": self.subject,
                "purposes": self.purposes,
                "until": _written(self.until),
                "role": self.role,
                "name": self.name,
                "fhir_user": self.fhir_user,
                "patient": self.patient,
                "encounter": self.encounter,
                "session": self.session,
                "signed_in": _written(self.signed_in) if self.signed_in else None,
                "methods": self.methods,
                "context": self.context,
                "code": _code(self.code) if self.code else None,
            }
        )


def decoded(id: str, raw: bytes) -> Grant:
    found: Mapping[str, Any] = json.decode_trusted(raw)
    code = found["code"]
    return Grant(
        id,
        found["client_id"],
        tuple(found["scopes"]),
        found["subject"],
        tuple(found["purposes"]),
        _read(found["until"]),
        found["role"],
        found["name"],
        found["fhir_user"],
        found["patient"],
        found["encounter"],
        found["session"],
        _read(found["signed_in"]) if found["signed_in"] is not None else None,
        tuple(found["methods"]),
        found["context"],
        Code(code["redirect_uri"], code["challenge"], code["nonce"], _read(code["expires"])) if code else None,
    )


def _code(code: Code) -> Json:
    return {
        "redirect_uri": code.redirect_uri,
        "challenge": code.challenge,
        "nonce": code.nonce,
        "expires": _written(code.expires),
    }


def _written(moment: datetime) -> int:
    """Whole seconds, as tokens count."""
    return int(moment.timestamp())


def _read(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
