"""Access tokens: what was issued is verified, and every forgery is refused in the same words."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.token import Claims, Tokens
from tests.fakes.clinic import BASE
from tests.unit.smart.keys import OneKey, rsa

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
KEYS, ISSUER = OneKey(), "http://127.0.0.1:8000"
MINUTE = timedelta(minutes=1)
CLAIMS = Claims("subject", "client", ("user/*.rs", "openid"), 5 * MINUTE, "ann", "Practitioner/3", "grant1")
TOKENS = Tokens(KEYS, ISSUER, BASE, lambda: "jti1")


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parts(token: str) -> tuple[Any, Any, str]:
    header, payload, signature = token.split(".")
    return json.decode(unb64(header)), json.decode(unb64(payload)), signature


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(header: object, payload: object, by: str = "ours") -> str:
    """By the server's own key unless told otherwise."""
    head = f"{b64(json.encode(header))}.{b64(json.encode(payload))}"
    private = rsa(by).private_key
    assert private is not None
    return f"{head}.{b64(private.sign(head.encode(), PKCS1v15(), SHA256()))}"


def issued() -> str:
    return TOKENS.issue(CLAIMS, NOW)[0]


def with_header(**changed: object) -> str:
    header, payload, _ = parts(issued())
    return signed({name: value for name, value in {**header, **changed}.items() if value is not None}, payload)


def with_claims(**changed: object) -> str:
    header, payload, _ = parts(issued())
    return signed(header, {name: value for name, value in {**payload, **changed}.items() if value is not None})


def test_what_was_issued_says_who_holds_it_and_what_for() -> None:
    token, jti = TOKENS.issue(CLAIMS, NOW)

    principal, expires = TOKENS.verify(token, NOW)

    assert (principal.subject, principal.client_id, principal.issuer, principal.token_id) == (
        "subject",
        "client",
        ISSUER,
        jti,
    )
    assert (principal.scopes, principal.patient, principal.fhir_user) == (CLAIMS.scopes, "ann", "Practitioner/3")
    assert expires == NOW + 5 * MINUTE


def test_a_token_without_context_has_none() -> None:
    token, _ = TOKENS.issue(replace(CLAIMS, patient=None, fhir_user=None), NOW)

    principal, _ = TOKENS.verify(token, NOW)

    assert (principal.patient, principal.fhir_user) == (None, None)


def test_our_own_signature_in_these_tests_is_a_good_one() -> None:
    assert TOKENS.verify(with_claims(), NOW)[0].subject == "subject"


def confused() -> str:
    """HS256, keyed with the public key."""
    _, payload, _ = parts(issued())
    head = f"{b64(json.encode({'alg': 'HS256', 'typ': 'at+jwt', 'kid': KEYS.kid}))}.{b64(json.encode(payload))}"
    return f"{head}.{b64(hmac.new(KEYS.key.as_pem(private=False), head.encode(), hashlib.sha256).digest())}"


def unsigned(alg: str) -> str:
    header, payload, _ = parts(issued())
    return f"{b64(json.encode({**header, 'alg': alg}))}.{b64(json.encode(payload))}."


def flipped(part: int) -> str:
    found = issued().split(".")
    raw = bytearray(unb64(found[part]))
    raw[len(raw) // 2] ^= 1
    found[part] = b64(bytes(raw))
    return ".".join(found)


def with_own_key() -> str:
    """Signed by somebody else, who sends the key along."""
    header, payload, _ = parts(issued())
    return signed({**header, "jwk": rsa("theirs").as_dict(private=False)}, payload, "theirs")


FORGERIES = {
    "nothing": "",
    "no token": "a",
    "two parts": ".".join(issued().split(".")[:2]),
    "no signature": ".".join([*issued().split(".")[:2], ""]),
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg with nothing signed": unsigned("RS256"),
    "hmac with the public key": confused(),
    "another algorithm's name": with_header(alg="RS384"),
    "an algorithm that pads otherwise": with_header(alg="PS256"),
    "an unknown algorithm": with_header(alg="ES999"),
    "no algorithm": with_header(alg=None),
    "an algorithm that is a list": with_header(alg=["RS256"]),
    "a critical extension": with_header(crit=["exp"]),
    "a flipped header": flipped(0),
    "a flipped payload": flipped(1),
    "a flipped signature": flipped(2),
    "a foreign key": signed(*parts(issued())[:2], by="theirs"),
    "a key sent along": with_own_key(),
    "another kid": with_header(kid="other"),
    "no kid": with_header(kid=None),
    "an id token": with_header(typ="JWT"),
    "a receipt": with_header(typ="receipt+jws"),
    "no typ": with_header(typ=None),
    "another issuer": with_claims(iss="http://elsewhere"),
    "another base": with_claims(aud="http://127.0.0.1:8000/other"),
    "several audiences": with_claims(aud=[BASE, "http://elsewhere"]),
    "no audience": with_claims(aud=None),
    "no end": with_claims(exp=None),
    "an end that is text": with_claims(exp="9999999999"),
    "an end that is true": with_claims(exp=True),
    "an end beyond all time": with_claims(exp=10**18),
    "an end before all time": with_claims(exp=-(10**18)),
    "a number with a fraction": with_claims(exp=9999999999.5),
    "issued in the future": with_claims(iat=int((NOW + MINUTE).timestamp())),
    "never issued": with_claims(iat=None),
    "no subject": with_claims(sub=None),
    "no client": with_claims(client_id=None),
    "no id": with_claims(jti=None),
    "no scope": with_claims(scope=None),
    "no grant": with_claims(grant=None),
    "an empty grant": with_claims(grant=""),
    "a payload that is a list": signed(parts(issued())[0], [1]),
    "a payload that is a number": signed(parts(issued())[0], 1),
    "a header that is a list": signed([1], parts(issued())[1]),
    "deep brackets": f"{b64(b'[' * 5_000)}.e30.AA",
    "too long": issued() + "A" * 9_000,
    "not ascii": "\u00e9.\u00e9.\u00e9",
    "a lone surrogate": "\ud800.a.b",
    "encrypted": f"{b64(json.encode({'alg': 'dir', 'enc': 'A128GCM'}))}.a.b.c.d",
    "json serialisation": '{"payload":"e30","signatures":[]}',
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_r_smart_043_a_forgery_is_refused_in_the_same_words_as_any_other(forgery: str) -> None:
    with pytest.raises(UnauthenticatedError) as refusal:
        TOKENS.verify(forgery, NOW)

    assert str(refusal.value) == "The bearer token is not valid, not for this server, or expired."


def test_r_smart_043_a_token_ends() -> None:
    token = issued()

    TOKENS.verify(token, NOW + 5 * MINUTE - timedelta(seconds=1))
    for late in (NOW + 5 * MINUTE, NOW + timedelta(days=365)):
        with pytest.raises(UnauthenticatedError):
            TOKENS.verify(token, late)


def test_a_clock_that_is_a_little_behind_is_borne() -> None:
    TOKENS.verify(issued(), NOW - timedelta(seconds=4))

    with pytest.raises(UnauthenticatedError):
        TOKENS.verify(issued(), NOW - timedelta(seconds=6))


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer ", "Bearer    ", "bearertoken", "Token x"])
def test_without_a_bearer_token_nobody_is_known(header: str | None) -> None:
    with pytest.raises(UnauthenticatedError):
        Bearer(TOKENS).authenticate(header, NOW)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_whatever_its_case(scheme: str) -> None:
    assert Bearer(TOKENS).authenticate(f"{scheme} {issued()}", NOW).subject == "subject"


class Counting(Tokens):
    """Knows how often it was asked."""

    asked = 0

    def verify(self, token: str, now: datetime) -> Any:
        self.asked += 1
        return super().verify(token, now)


def test_a_signature_is_checked_once_while_the_token_lives_and_never_longer() -> None:
    tokens = Counting(KEYS, ISSUER, BASE, lambda: "jti1")
    bearer, header = Bearer(tokens), f"Bearer {issued()}"

    for second in range(5):
        assert bearer.authenticate(header, NOW + timedelta(seconds=second)).subject == "subject"
    assert tokens.asked == 1

    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            bearer.authenticate(header, NOW + 5 * MINUTE)


def test_a_refused_token_is_not_remembered_and_a_good_one_of_the_same_length_is() -> None:
    bearer = Bearer(TOKENS)

    for forgery in FORGERIES.values():
        with pytest.raises(UnauthenticatedError):
            bearer.authenticate(f"Bearer {forgery}", NOW)

    assert bearer.authenticate(f"Bearer {issued()}", NOW).token_id == "jti1"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.smart.bearer._MOST_KEPT", 3)
    tokens = Counting(KEYS, ISSUER, BASE, lambda: "jti1")
    bearer = Bearer(tokens)
    headers = [f"Bearer {tokens.issue(replace(CLAIMS, subject=str(n)), NOW)[0]}" for n in range(5)]

    for header in (*headers, headers[-1], headers[0]):
        bearer.authenticate(header, NOW)

    assert tokens.asked == 6
