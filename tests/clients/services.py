"""What a service signs, the token that it gets for it, and the launch that an EHR gets with one."""

import secrets
import time

import httpx2
from joserfc import jwt
from joserfc.jwk import import_key

from fhir_server.kernel import json
from tests.clients.conftest import Demo
from tests.smart.apps import ASSERTION


def token(demo: Demo, scope: str, client_id: str = "demo-backend") -> str:
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion(demo, client_id),
    }
    answer = httpx2.post(f"{demo.told['issuer']}/auth/token", data=form, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(json.decode(answer.content)["access_token"])


def handle(demo: Demo, patient: str) -> str:
    """With which the demo's EHR opens the demo's app."""
    asked = {"client_id": "demo-public", "patient": patient, "intent": "a look", "need_patient_banner": False}
    headers = {"Authorization": f"Bearer {token(demo, 'ehr/launch', 'demo-ehr')}", "Content-Type": "application/json"}
    answer = httpx2.post(f"{demo.told['issuer']}/auth/launch", content=json.encode(asked), headers=headers, timeout=30)
    assert answer.status_code in {200, 201}, answer.text
    return str(json.decode(answer.content)["launch"])


def assertion(demo: Demo, client_id: str = "demo-backend") -> str:
    """Good once, for five minutes."""
    service = next(one for one in demo.told["clients"] if one["client_id"] == client_id)
    private, now = service["private_jwk"], int(time.time())
    claims = {
        "iss": service["client_id"],
        "sub": service["client_id"],
        "aud": f"{demo.told['issuer']}/auth/token",
        "exp": now + 300,
        "jti": secrets.token_hex(16),
    }
    header = {"alg": private["alg"], "kid": private["kid"], "typ": "JWT"}
    return jwt.encode(header, claims, import_key(private), algorithms=[private["alg"]])
