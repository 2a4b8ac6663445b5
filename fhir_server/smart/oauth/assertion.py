"""private_key_jwt: a client proves who it is by a statement that it signed for this server, good once.

RFC 7523 section 3; SMART App Launch 2.2 "Asymmetric (public key) client authentication". R-SMART-076 to -083.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from joserfc import jws
from joserfc.errors import JoseError

from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError
from fhir_server.smart.clients.client import Client
from fhir_server.smart.clients.public_keys import ALGORITHMS, PublicKey, choose, public_keys
from fhir_server.smart.ports import Clients, Handles, RemoteKeys

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_LONGEST = 16_384
_LONGEST_JTI = 255
_MOST_AHEAD = timedelta(minutes=5)
_SKEW_AHEAD = timedelta(seconds=60)
_SKEW_BEHIND = timedelta(seconds=5)
_MOST_REMEMBERED = 1000


class _Registry(jws.JWSRegistry):
    """Header names that we do not know are borne; a `crit` that names one is not (RFC 7515 4.1.11)."""

    max_header_length = 8_192


_REGISTRY = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True)
class _Stated:
    """What an assertion says, and what its signature is over; believed once that is checked."""

    signed: jws.CompactSignature
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class Assertions:
    def __init__(self, clients: Clients, handles: Handles, remote: RemoteKeys) -> None:
        self._clients, self._handles, self._remote = clients, handles, remote
        self._parsed: dict[tuple[str, int], Sequence[PublicKey]] = {}

    def authenticate(self, assertion: str, audiences: Collection[str], now: datetime) -> Client:
        """The client that made it. Raises InvalidClientError; who holds no key of the client learns no more than that.

        What is wrong with a statement that is well signed is told, for its author has to mend it.
        """
        # 1. Who it says it is. Nothing of it is believed yet.
        stated = _read(assertion)
        claims = stated.claims
        client = self._client(claims.get("sub"))
        # 2. One algorithm, one registered key; an address of keys only if it is the registered one.
        key = self._key(client, stated.header)
        # 3. The signature, over the very bytes that were read.
        if not _is_signed(stated, key):
            raise _refused()
        # 4. By this client, for this server, now.
        ends = _require_claims(claims, client.client_id, audiences, now)
        # 5. Once, in whatever process: recorded only now, so that nobody else can use it up.
        if not self._handles.once("jti", f"{client.client_id}\0{claims['jti']}", ends + _SKEW_AHEAD):
            raise _refused("The assertion was used before: each has a jti of its own.")
        return client

    def _client(self, sub: object) -> Client:
        client = self._clients.get(sub) if isinstance(sub, str) and len(sub) <= _LONGEST_JTI else None
        if client is None or client.disabled or not client.kind.signs:
            raise _refused()
        return client

    def _key(self, client: Client, header: Mapping[str, Any]) -> PublicKey:
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(alg, str) or not isinstance(kid, str) or not isinstance(typ, str):
            raise _refused()
        if alg not in ALGORITHMS or typ.casefold() != "jwt":
            raise _refused()
        if "jku" in header and (client.jwks_uri is None or header["jku"] != client.jwks_uri):
            raise _refused()
        key = choose(self._keys(client, kid), kid, alg)
        if key is None:
            raise _refused()
        return key

    def _keys(self, client: Client, kid: str) -> Sequence[PublicKey]:
        if client.jwks_uri is not None:
            return self._remote.keys(client.jwks_uri, wanted=kid)
        known = self._parsed.get((client.client_id, client.revision))
        if known is None:
            if len(self._parsed) > _MOST_REMEMBERED:
                self._parsed.clear()
            known = self._parsed[client.client_id, client.revision] = public_keys(client.jwks)
        return known


def claimed_by(assertion: str) -> str:
    """Who an assertion says that it is from; believed by nobody. Empty where that cannot be read."""
    try:
        return str(_read(assertion).claims.get("sub", ""))
    except InvalidClientError:
        return ""


def _is_signed(stated: _Stated, key: PublicKey) -> bool:
    try:
        return jws.validate_compact(stated.signed, key.key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        return False


def _read(assertion: str) -> _Stated:
    if len(assertion) > _LONGEST:
        raise _refused()
    try:
        found = jws.extract_compact(assertion.encode("ascii"), registry=_REGISTRY)
        claims = json.decode(found.payload)
    except (JoseError, FhirError, ValueError, TypeError, KeyError):
        raise _refused() from None
    header = found.headers()
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise _refused()
    return _Stated(found, header, claims)


def _require_claims(claims: Mapping[str, Any], client_id: str, audiences: Collection[str], now: datetime) -> datetime:
    """When it ends."""
    if claims.get("iss") != client_id:
        raise _refused("iss and sub must both be the client_id.")
    stated = claims.get("aud")
    if not any(one in audiences for one in (stated if isinstance(stated, list) else [stated]) if isinstance(one, str)):
        raise _refused("aud must be the URL of the token endpoint.")
    ends = _moment(claims.get("exp"), now)
    if ends is None or ends > now + _MOST_AHEAD + _SKEW_AHEAD:
        raise _refused("exp must be at most five minutes ahead.")
    if ends <= now - _SKEW_BEHIND:
        raise _refused("The assertion has expired.")
    begins = _moment(claims["nbf"], now) if "nbf" in claims else now
    if begins is None or begins > now + _SKEW_AHEAD:
        raise _refused("The assertion is not good yet.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise _refused("The assertion needs a jti of its own.")
    return ends


def _moment(value: object, now: datetime) -> datetime | None:
    """A NumericDate, which may have a fraction (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return datetime.fromtimestamp(int(value), now.tzinfo)
    except (OverflowError, ValueError, OSError):
        return None


def _refused(why: str = "Client authentication failed.") -> InvalidClientError:
    return InvalidClientError(description=why)
