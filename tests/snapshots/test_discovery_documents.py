"""What the server says of its authorization, kept as files: a difference is seen, and meant or mended.

SMART App Launch 2.2 "Conformance"; RFC 8414; OpenID Connect Discovery 1.0.
"""

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.oidc.discovery import authorization_server, openid_configuration, smart_configuration
from tests.snapshots.kept import require_kept

ISSUER = "https://clinic.example"
DOCUMENTS = {
    "smart_configuration.json": smart_configuration(ISSUER),
    "openid_configuration.json": openid_configuration(ISSUER),
    "oauth_authorization_server.json": authorization_server(ISSUER),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_r_smart_004_what_is_said_is_kept(name: str) -> None:
    require_kept(name, json.pretty(json.encode(DOCUMENTS[name])).decode() + "\n")


def test_the_three_documents_agree() -> None:
    def of(name: str) -> Json:
        return DOCUMENTS[name]

    common = of("oauth_authorization_server.json")
    for other in ("smart_configuration.json", "openid_configuration.json"):
        assert {name: of(other)[name] for name in common} == common
