"""A proof is of one key, one request, one token and one minute; anything else is refused."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.smart.dpop import proof_of

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
URL, TOKEN = "https://clinic.example/fhir/Media", "a.b.c"
KEYS = {alg: ECKey.generate_key(curve) for alg, curve in (("ES256", "P-256"), ("ES384", "P-384"))}
OTHER = ECKey.generate_key("P-256")


def text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


CLAIMS: Mapping[str, Any] = {
    "jti": "one",
    "htm": "POST",
    "htu": URL,
    "iat": int(NOW.timestamp()),
    "ath": text(hashlib.sha256(TOKEN.encode()).digest()),
}


def proof(alg: str = "ES256", header: Mapping[str, Any] | None = None, by: ECKey | None = None, **claims: Any) -> str:
    said = {"typ": "dpop+jwt", "alg": alg, "jwk": KEYS[alg].as_dict(private=False), **(header or {})}
    return jwt.encode(said, {**CLAIMS, **claims}, by or KEYS[alg], algorithms=[alg])


def of(written: str) -> str:
    return proof_of(written, "POST", URL, NOW, TOKEN).thumbprint


@pytest.mark.parametrize("alg", KEYS)
def test_a_proof_names_the_key_that_made_it(alg: str) -> None:
    found = proof_of(proof(alg), "POST", URL, NOW, TOKEN)

    assert (found.thumbprint, found.jti) == (KEYS[alg].thumbprint(), "one")
    assert found.ends > NOW


def test_without_a_token_a_proof_is_of_its_request_alone() -> None:
    assert proof_of(proof(ath=None), "POST", URL, NOW).thumbprint == KEYS["ES256"].thumbprint()


@pytest.mark.parametrize("seconds", [-60, 0, 10])
def test_a_clock_may_be_a_little_off(seconds: int) -> None:
    assert of(proof(iat=CLAIMS["iat"] + seconds))


def unsigned(**header: Any) -> str:
    """With something in the place of a signature."""
    said = {"typ": "dpop+jwt", "alg": "ES256", "jwk": OTHER.as_dict(private=False), **header}
    return f"{text(json.encode(said))}.{text(json.encode(dict(CLAIMS)))}.{text(b'x' * 64)}"


def symmetric() -> str:
    key = OctKey.generate_key(256)
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": key.as_dict(private=True)}
    return jwt.encode(header, dict(CLAIMS), key, algorithms=["HS256"])


def a_list() -> str:
    header, _, signature = proof().split(".")
    return f"{header}.{text(b'[]')}.{signature}"


def with_fraction() -> str:
    header, _, signature = proof().split(".")
    return f"{header}.{text(json.encode({**CLAIMS, 'iat': Decimal('1.5')}))}.{signature}"


REFUSED = {
    "nothing": "",
    "no JWT": "one.two.three",
    "not ASCII": "é.é.é",
    "too long": "a" * 5000,
    "no object": a_list(),
    "unsigned": unsigned(alg="none"),
    "without an algorithm": unsigned(alg=None),
    "by a shared secret": symmetric(),
    "a fraction under another's signature": with_fraction(),
    "another type": proof(header={"typ": "JWT"}),
    "no key": unsigned(jwk="none"),
    "another's signature": proof(by=OTHER),
    "a private key": proof(header={"jwk": dict(KEYS["ES256"].as_dict(private=True))}),
    "a key of another curve": unsigned(jwk=KEYS["ES384"].as_dict(private=False)),
    "no point": unsigned(jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    "half a key": unsigned(jwk={"kty": "EC", "crv": "P-256", "x": "AA"}),
    "another method": proof(htm="GET"),
    "another address": proof(htu=f"{URL}/1"),
    "another token": proof(ath=text(hashlib.sha256(b"other").digest())),
    "no token": proof(ath=None),
    "too old": proof(iat=CLAIMS["iat"] - 61),
    "of the future": proof(iat=CLAIMS["iat"] + 11),
    "of no time": proof(iat="now"),
    "without its own name": proof(jti=""),
    "with a long name": proof(jti="a" * 256),
}


@pytest.mark.parametrize("why", REFUSED)
def test_m20_what_is_no_proof_is_refused(why: str) -> None:
    with pytest.raises(UnauthenticatedError):
        of(REFUSED[why])
