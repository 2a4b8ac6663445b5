"""A client whose keys lie at an address of its own: R-SMART-082. What it signs: tests/smart."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from authlib.oauth2.rfc6749 import InvalidClientError
from joserfc import jwt

from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import public_set
from fhir_server.smart.clients.public_keys import PublicKey, public_keys
from fhir_server.smart.oauth.assertion import Assertions
from tests.fakes.authorization import FakeClients, FakeHandles
from tests.smart.apps import KEYS, PRIVATE

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HERE = "https://clinic.example/auth/token"
KEYS_AT = "https://app.example/jwks.json"


class RemoteKeys:
    """What lies at addresses; `asked` for what."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys, self.asked = keys, list[tuple[str, str]]()

    def keys(self, url: str, *, wanted: str) -> Sequence[PublicKey]:
        self.asked.append((url, wanted))
        return self._keys


def assertion() -> str:
    claims = {"iss": "remote", "sub": "remote", "aud": HERE, "exp": NOW.timestamp() + 300, "jti": secrets.token_hex(8)}
    header = {"alg": "ES384", "kid": KEYS["ES384"]["kid"]}
    return jwt.encode(header, claims, PRIVATE["ES384"], algorithms=["ES384"])


def assertions(remote: RemoteKeys) -> Assertions:
    clients = FakeClients()
    clients.save(Client("remote", Kind.BACKEND, "Remote", ("system/*.rs",), jwks_uri=KEYS_AT))
    return Assertions(clients, FakeHandles(), remote)


def test_r_smart_082_a_key_is_looked_for_at_the_registered_address_and_no_other() -> None:
    remote = RemoteKeys(public_keys(public_set(KEYS["ES384"])))

    client = assertions(remote).authenticate(assertion(), [HERE], NOW)

    assert client.client_id == "remote"
    assert remote.asked == [(KEYS_AT, KEYS["ES384"]["kid"])]


@pytest.mark.parametrize("keys", [(), public_keys(public_set(KEYS["RS384"]))])
def test_r_smart_082_where_its_key_is_not_among_them_it_is_refused(keys: Sequence[PublicKey]) -> None:
    with pytest.raises(InvalidClientError):
        assertions(RemoteKeys(keys)).authenticate(assertion(), [HERE], NOW)
