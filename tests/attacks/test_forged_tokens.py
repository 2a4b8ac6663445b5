"""Tokens that this server did not issue, or not like this: 401, whatever was changed, and nothing done."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnauthenticatedError
from fhir_server.kernel.json import Json
from tests.attacks.watch import Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature(key: RSAKey, text: str) -> bytes:
    assert key.private_key is not None
    return key.private_key.sign(text.encode(), PKCS1v15(), SHA256())


class Forge:
    """A good token taken to pieces; and the secret that a thief would need, to sign what only it could sign."""

    def __init__(self, token: str, key: RSAKey) -> None:
        self.head, self.body, self.signature = token.split(".")
        self.header: Json = json.decode(unb64(self.head))
        self.claims: Json = json.decode(unb64(self.body))
        self.key = key

    def unsigned(self, **header: Any) -> str:
        return f"{b64(json.encode({**self.header, **header}))}.{self.body}"

    def signed(self, header: Json | None = None, **claims: Any) -> str:
        """Signed with the server's own key: what is wrong is what it says."""
        changed = {name: value for name, value in {**self.claims, **claims}.items() if value is not ...}
        text = f"{b64(json.encode(header or self.header))}.{b64(json.encode(changed))}"
        return f"{text}.{b64(signature(self.key, text))}"

    def without(self, name: str) -> str:
        left_out: Json = {name: ...}
        return self.signed(**left_out)


def hs256(forge: Forge, key: bytes) -> str:
    text = forge.unsigned(alg="HS256")
    return f"{text}.{b64(hmac.digest(key, text.encode(), hashlib.sha256))}"


def other_key(forge: Forge) -> str:
    own = RSAKey.generate_key(2048)
    header = {**forge.header, "jwk": own.as_dict(private=False), "jku": "https://mallory.example/jwks"}
    text = f"{b64(json.encode(header))}.{forge.body}"
    return f"{text}.{b64(signature(own, text))}"


def bent(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


FORGERIES: dict[str, Callable[[Forge], str]] = {
    "no token": lambda _: "",
    "nonsense": lambda _: "nonsense",
    "no signature": lambda forge: f"{forge.head}.{forge.body}.",
    "two parts": lambda forge: f"{forge.head}.{forge.body}",
    "five parts": lambda forge: f"{forge.head}.{forge.body}.{forge.signature}.a.b",
    "alg none": lambda forge: f"{forge.unsigned(alg='none')}.",
    "alg None, signed": lambda forge: f"{forge.unsigned(alg='None')}.{forge.signature}",
    "HS256 with the public key": lambda forge: hs256(forge, forge.key.as_pem(private=False)),
    "HS256 with the modulus": lambda forge: hs256(forge, str(forge.key.as_dict(private=False)["n"]).encode()),
    "HS256 with no key": lambda forge: hs256(forge, b""),
    "alg as array": lambda forge: f"{forge.unsigned(alg=['none'])}.{forge.signature}",
    "a key of its own": other_key,
    "payload edited": lambda forge: (
        f"{forge.head}.{b64(json.encode({**forge.claims, 'patient': 'p'}))}.{forge.signature}"
    ),
    "signature bent": lambda forge: f"{forge.head}.{forge.body}.{bent(forge.signature, 10)}",
    "header bent": lambda forge: f"{bent(forge.head, 5)}.{forge.body}.{forge.signature}",
    "another kid": lambda forge: forge.signed({**forge.header, "kid": "other"}),
    "no kid": lambda forge: forge.signed({name: value for name, value in forge.header.items() if name != "kid"}),
    "typ JWT": lambda forge: forge.signed({**forge.header, "typ": "JWT"}),
    "typ of a receipt": lambda forge: forge.signed({**forge.header, "typ": "receipt+jws"}),
    "no typ": lambda forge: forge.signed({name: value for name, value in forge.header.items() if name != "typ"}),
    "crit": lambda forge: forge.signed({**forge.header, "crit": ["exp"]}),
    "b64 false": lambda forge: forge.signed({**forge.header, "b64": False, "crit": ["b64"]}),
    "another issuer": lambda forge: forge.signed(iss="https://elsewhere.example"),
    "no issuer": lambda forge: forge.without("iss"),
    "another audience": lambda forge: forge.signed(aud="https://elsewhere.example/fhir"),
    "audience as list": lambda forge: forge.signed(aud=[forge.claims["aud"], "https://elsewhere.example"]),
    "no audience": lambda forge: forge.without("aud"),
    "expired": lambda forge: forge.signed(exp=forge.claims["iat"] - 1),
    "no expiry": lambda forge: forge.without("exp"),
    "expiry as text": lambda forge: forge.signed(exp="9999999999"),
    "expiry as true": lambda forge: forge.signed(exp=True),
    "expiry without end": lambda forge: forge.signed(exp=10**30),
    "negative expiry": lambda forge: forge.signed(exp=-(10**30)),
    "from the future": lambda forge: forge.signed(iat=forge.claims["iat"] + 3600),
    "no issue time": lambda forge: forge.without("iat"),
    "no subject": lambda forge: forge.without("sub"),
    "no scope": lambda forge: forge.without("scope"),
    "no grant": lambda forge: forge.without("grant"),
    "a grant that never was": lambda forge: forge.signed(grant="nobody"),
    "PS256": lambda forge: forge.signed({**forge.header, "alg": "PS256"}),
    "no id": lambda forge: forge.without("jti"),
    "claims as array": lambda forge: forge.head + "." + b64(b"[]") + "." + forge.signature,
    "very long": lambda forge: forge.signed(padding="x" * 100_000),
    "60,000 brackets": lambda forge: b64(b"[" * 60_000) + "." + forge.body + "." + forge.signature,
    "JWE": lambda _: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA",
}


@pytest.fixture(scope="module")
async def forge(clinic: InProcess) -> Forge:
    return Forge(clinic.token(), clinic.clinic.gateway.keys.signing(clinic.clinic.surface.clock.now()).key)


@pytest.fixture(scope="module")
async def target(clinic: InProcess) -> str:
    return f"/fhir/Patient/{(await clinic.caller().store(patient()))['id']}"


async def test_the_forge_itself_works(clinic: InProcess, forge: Forge, target: str) -> None:
    good = Caller(clinic.http, {"Authorization": f"Bearer {forge.signed()}"})

    assert (await good.get(target)).status_code == 200


@pytest.mark.parametrize("attack", FORGERIES)
async def test_a_forged_token_opens_nothing(
    clinic: InProcess, forge: Forge, target: str, watch: Watch, attack: str
) -> None:
    forger = Caller(clinic.http, {"Authorization": f"Bearer {FORGERIES[attack](forge)}"})

    for answer in (
        await forger.get(target),
        await forger.post("/fhir/Patient", patient()),
        await forger.delete(target),
        await forger.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": []}),
    ):
        watch.refused(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert read(answer)["issue"][0]["code"] == "login"


@pytest.mark.parametrize(
    "header",
    [
        "Basic dXNlcjpwYXNz",
        "bearer",
        "Bearer",
        "Bearer  ",
        "Token {}",
        "{}",
        "Bearer {} {}",
        "Bearer {},{}",
        'Bearer "{}"',
    ],
)
async def test_another_way_to_write_the_header_opens_nothing(
    clinic: InProcess, target: str, watch: Watch, header: str
) -> None:
    token = clinic.token()

    forger = Caller(clinic.http, {"Authorization": header.replace("{}", token)})

    watch.refused(await forger.get(target), 401)


async def test_a_token_elsewhere_than_in_the_header_is_not_looked_at(
    clinic: InProcess, target: str, watch: Watch
) -> None:
    token, form = clinic.token(), "application/x-www-form-urlencoded"

    watch.refused(await clinic.stranger.get(f"{target}?access_token={token}"), 401)
    watch.refused(await clinic.stranger.post("/fhir/Patient/_search", f"access_token={token}", Content_Type=form), 401)
    watch.refused(await clinic.stranger.get(target, Cookie=f"access_token={token}"), 401)
    watch.refused(await clinic.stranger.get(target, X_Forwarded_Authorization=f"Bearer {token}"), 401)


async def test_two_authorization_headers_are_refused(clinic: InProcess, target: str, watch: Watch) -> None:
    token = clinic.token()
    for pair in [
        (f"Bearer {token}", f"Bearer {token}"),
        (f"Bearer {token}", "Bearer x"),
        ("Bearer x", f"Bearer {token}"),
    ]:
        answer = await clinic.http.get(target, headers=[("Authorization", value) for value in pair])
        watch.refused(answer, 401)


async def test_a_token_dies_even_while_it_is_remembered(clinic: InProcess, target: str, watch: Watch) -> None:
    bearer, now = clinic.clinic.gateway.bearer, clinic.clinic.surface.clock.now()
    header = f"Bearer {clinic.token(lifetime=60)}"
    bearer.authenticate(header, now)

    with pytest.raises(UnauthenticatedError):
        bearer.authenticate(header, now + timedelta(seconds=61))
    watch.refused(
        await Caller(clinic.http, {"Authorization": f"Bearer {clinic.token(lifetime=60, age=61)}"}).get(target), 401
    )


async def test_a_refusal_does_not_repeat_the_token(clinic: InProcess, target: str) -> None:
    answer = await Caller(clinic.http, {"Authorization": "Bearer secret-of-somebody"}).get(target)

    assert "secret-of-somebody" not in answer.text + str(answer.headers)
