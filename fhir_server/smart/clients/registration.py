"""What an operator may register: refused at once where a client could not work, or would be unsafe.

RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 2.1; SMART App Launch 2.2 "Client registration".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.public_keys import PrivateKeyError, public_keys
from fhir_server.smart.opaque import hashed, new_secret
from fhir_server.smart.roles import EMERGENCIES
from fhir_server.smart.scope_grants import OF_BACKENDS, OF_PEOPLE, wanted

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{1,63}", re.ASCII)
_NAME = re.compile(r"\S(?:.{0,98}\S)?")
_PURPOSE = re.compile(r"[A-Z][A-Z0-9]{1,19}", re.ASCII)
_HTTPS = re.compile(r"https://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?(?:[/?][\x21-\x7e]*)?", re.ASCII)
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?(?:[/?][\x21-\x7e]*)?", re.ASCII)
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*\.[a-z0-9+.\-]+:/[\x21-\x7e]*", re.ASCII)
_NEVER = frozenset('#\\"<>`{}|^*')
_LONGEST, _MOST = 2000, 50


class RegistrationError(ValueError):
    """What is wrong with it, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The client, and the secret that is shown this once; None for one that has none."""

    client: Client
    secret: str | None


def register(client: Client) -> Registered:
    """Checked whole, and given a secret where its kind has one. Raises RegistrationError."""
    _require(_CLIENT_ID.fullmatch(client.client_id), "A client id has 2 to 64 of A-Z, a-z, 0-9 and . _ ~ -")
    _require(_NAME.fullmatch(client.name) and client.name.isprintable(), "A name has 1 to 100 letters.")
    _require(client.purposes and all(map(_PURPOSE.fullmatch, client.purposes)), "A purpose is a v3-ActReason code.")
    _require(EMERGENCIES.isdisjoint(client.purposes), "No client states an emergency: a person breaks the glass.")
    _check_scopes(client)
    _check_addresses(client)
    _check_keys(client)
    if client.kind is not Kind.SYMMETRIC:
        return Registered(client, None)
    return with_new_secret(client)


def with_new_secret(client: Client) -> Registered:
    secret = new_secret()
    return Registered(client.changed(secret=hashed(secret), revision=client.revision), secret)


def _check_scopes(client: Client) -> None:
    _require(client.scopes, "A client without scopes could do nothing.")
    backend = client.kind is Kind.BACKEND
    allowed = OF_BACKENDS if backend else OF_PEOPLE
    for scope in client.scopes:
        one = wanted(scope)
        fits = scope in allowed or (one is not None and (one.context == "system") is backend)
        _require(fits, f"Not a scope for a client of kind {client.kind}: {scope[:100]}")


def _check_addresses(client: Client) -> None:
    backend = client.kind is Kind.BACKEND
    _require(not (backend and client.redirect_uris), "A backend client has no redirect URI.")
    _require(backend or client.redirect_uris, "An app needs a redirect URI.")
    _require(len(client.redirect_uris) <= _MOST, f"A client has at most {_MOST} redirect URIs.")
    for uri in client.redirect_uris:
        _require(_is_place(uri, own_scheme=client.kind is Kind.PUBLIC), f"Not a redirect URI: {uri[:100]}")
    if client.launch_url is not None:
        _require(_is_place(client.launch_url, own_scheme=False), "The launch URL must begin with https://")


def _is_place(uri: str, *, own_scheme: bool) -> bool:
    """https; http on loopback alone; for a native app a scheme of its own with a dot, which `javascript:` lacks."""
    if len(uri) > _LONGEST or _NEVER & set(uri):
        return False
    patterns = (_HTTPS, _LOOPBACK, _OWN_SCHEME) if own_scheme else (_HTTPS, _LOOPBACK)
    return any(pattern.fullmatch(uri) for pattern in patterns)


def _check_keys(client: Client) -> None:
    given = (client.jwks is not None) + (client.jwks_uri is not None)
    if not client.kind.signs:
        _require(given == 0, f"A client of kind {client.kind} has no keys.")
        return
    _require(given == 1, "A client that signs needs its public keys: a JWK Set, or the URL of one.")
    if client.jwks_uri is not None:
        _require(
            len(client.jwks_uri) <= _LONGEST and _HTTPS.fullmatch(client.jwks_uri), "A JWKS URL begins with https://"
        )
    if client.jwks is not None:
        _check_key_set(client.jwks)


def _check_key_set(jwks: Json) -> None:
    try:
        keys = public_keys(jwks)
    except PrivateKeyError as error:
        raise RegistrationError(str(error)) from None
    _require(keys, "The JWK Set holds no key for RS384 or ES384 with a kid.")
    _require(_all_different(key.kid for key in keys), "Two keys of the JWK Set have the same kid.")


def _all_different(values: Iterable[str]) -> bool:
    seen = list(values)
    return len(seen) == len(set(seen))


def _require(truth: object, complaint: str) -> None:
    if not truth:
        raise RegistrationError(complaint)
