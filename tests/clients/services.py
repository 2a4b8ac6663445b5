"""What a service signs, and the token that it gets for it."""

import secrets
import time

from joserfc import jwt
from joserfc.jwk import import_key

from tests.clients.conftest import Demo


def assertion(demo: Demo) -> str:
    """For the demo's back end; good once, for five minutes."""
    service = demo.client("backend")
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
