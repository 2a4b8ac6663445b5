"""Access tokens: signed, short-lived statements of who holds them, what for, and of which grant they are.

RFC 9068 (JWT profile for access tokens); IHE ITI IUA, ITI-71 (R-IUA-001, -002).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, RSAKey

from fhir_server.engine.call import Capture, Principal
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.kernel.identity import NewId
from fhir_server.kernel.json import Json
from fhir_server.smart.oidc.signing_keys import ALGORITHM, SigningKey

_LONGEST_TOKEN = 8_192
_SKEW = timedelta(seconds=5)
_ROLES = "urn:aesthetic-fhir-server:role"
_PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


class Keys(Protocol):
    def signing(self, now: datetime) -> SigningKey: ...

    def find(self, kid: object) -> RSAKey | None: ...


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token will say. `grant` is the id with whose end it ends; `signed_in` and `methods` tell how it came.

    `capture`: it is bound to a key (RFC 9449 section 6), and of a capture session.
    """

    subject: str
    client_id: str
    scopes: tuple[str, ...]
    lifetime: timedelta
    patient: str | None = None
    fhir_user: str | None = None
    grant: str = ""
    role: str | None = None
    purposes: tuple[str, ...] = ()
    name: str | None = None
    encounter: str | None = None
    signed_in: datetime | None = None
    methods: tuple[str, ...] = ()
    capture: Capture | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """The clinic as IUA's claims name it; empty where the operator did not say."""

    name: str = ""
    id: str = ""
    home_community: str = ""


class Tokens:
    """Issues and verifies for one issuer and one FHIR base."""

    def __init__(
        self, keys: Keys, issuer: str, audience: str, new_id: NewId, organization: Organization | None = None
    ) -> None:
        self._keys, self.issuer, self.audience, self._new_id = keys, issuer, audience, new_id
        self._organization = organization or Organization()

    def issue(self, claims: Claims, now: datetime) -> tuple[str, str]:
        """The token, and its jti."""
        jti = self._new_id()
        context = {
            "patient": claims.patient,
            "encounter": claims.encounter,
            "fhirUser": claims.fhir_user,
            "role": claims.role,
            "auth_time": int(claims.signed_in.timestamp()) if claims.signed_in else None,
            "amr": list(claims.methods),
            "cnf": {"jkt": claims.capture.key} if claims.capture else None,
            "capture": {"device": claims.capture.device, "basis": claims.capture.basis} if claims.capture else None,
        }
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "sub": claims.subject,
            "client_id": claims.client_id,
            "aud": self.audience,
            "iat": int(now.timestamp()),
            "exp": int((now + claims.lifetime).timestamp()),
            "jti": jti,
            "grant": claims.grant,
            "scope": " ".join(claims.scopes),
            **{name: value for name, value in context.items() if value is not None and value != []},
            "extensions": {"ihe_iua": _iua(claims, self._organization)},
        }
        key = self._keys.signing(now)
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, payload, key.key, algorithms=[ALGORITHM]), jti

    def verify(self, token: str, now: datetime) -> tuple[Principal, datetime]:
        """Whose it is, and when it expires. Raises UnauthenticatedError without saying which check failed.

        That its grant still holds is looked up before the answer leaves, not here.
        """
        claims = self.claims(token, now)
        return _principal(claims), _instant(claims, "exp", now)

    def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        """All that a token says that is good at this instant."""
        if len(token) > _LONGEST_TOKEN:
            raise _refused()
        try:
            # 1. The signature, by the one algorithm that we sign with and the key it names: no other is even tried.
            found = jwt.decode(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError):
            raise _refused() from None
        claims = found.claims
        # 2. A token of ours for something else (an id token, a receipt) is no access token.
        if found.header.get("typ") != "at+jwt":
            raise _refused()
        # 3. From this issuer, for this FHIR base, of some grant.
        if claims.get("iss") != self.issuer or claims.get("aud") != self.audience or not claims.get("grant"):
            raise _refused()
        # 4. Now.
        if _instant(claims, "exp", now) <= now or _instant(claims, "iat", now) > now + _SKEW:
            raise _refused()
        return claims

    def _key(self, signature: GuestProtocol) -> RSAKey:
        key = self._keys.find(signature.headers().get("kid"))
        if key is None:
            raise KeyError
        return key


def _iua(claims: Claims, organization: Organization) -> Json:
    """IHE's own claims; those of which nothing is known are left out."""
    found = {
        "subject_name": claims.name,
        "subject_organization": organization.name,
        "subject_organization_id": organization.id,
        "home_community_id": organization.home_community,
        "subject_role": [{"system": _ROLES, "code": claims.role}] if claims.role else [],
        "purpose_of_use": [{"system": _PURPOSES, "code": code} for code in claims.purposes],
        "person_id": claims.patient,
    }
    return {name: value for name, value in found.items() if value}


def _principal(claims: Mapping[str, Any]) -> Principal:
    iua = claims.get("extensions", {}).get("ihe_iua", {})
    try:
        return Principal(
            subject=str(claims["sub"]),
            client_id=str(claims["client_id"]),
            issuer=str(claims["iss"]),
            token_id=str(claims["jti"]),
            scopes=tuple(str(claims["scope"]).split()),
            patient=claims.get("patient"),
            fhir_user=claims.get("fhirUser"),
            name=iua.get("subject_name"),
            role=claims.get("role"),
            purposes=tuple(str(one["code"]) for one in iua.get("purpose_of_use", [])),
            grant=str(claims["grant"]),
            capture=_capture(claims),
        )
    except KeyError:
        raise _refused() from None


def _capture(claims: Mapping[str, Any]) -> Capture | None:
    """A token that is bound to a key is of a capture session; there is no other kind."""
    if "cnf" not in claims:
        return None
    return Capture(str(claims["cnf"]["jkt"]), str(claims["capture"]["device"]), str(claims["capture"]["basis"]))


def _instant(claims: Mapping[str, Any], name: str, now: datetime) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused()
    try:
        return datetime.fromtimestamp(value, now.tzinfo)
    except (OverflowError, ValueError, OSError):
        raise _refused() from None


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("The bearer token is not valid, not for this server, or expired.")
