"""Signing keys for tests: made once, for a key of 2048 bits takes a while."""

from datetime import UTC, datetime
from functools import cache

from joserfc.jwk import RSAKey

from fhir_server.smart.oidc.signing_keys import SigningKey


@cache
def rsa(name: str) -> RSAKey:
    return RSAKey.generate_key(2048)


class OneKey:
    """As a process that knows one signing key."""

    def __init__(self, name: str = "ours") -> None:
        self.key = rsa(name)
        self.kid = self.key.thumbprint()

    def signing(self, now: datetime) -> SigningKey:
        return SigningKey(1, datetime(2026, 1, 1, tzinfo=UTC), self.kid, self.key)

    def find(self, kid: object) -> RSAKey | None:
        return self.key if kid == self.kid else None
