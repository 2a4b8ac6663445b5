"""What the routes of the authorization server work with, as the composition root wired them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_server.api.cors import Cors
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.oauth.service import Authorization
from fhir_server.smart.oidc.discovery import STYLES, authorization_server, openid_configuration, smart_configuration
from fhir_server.smart.oidc.signing_keys import SigningKeys
from fhir_server.smart.ports import GrantStates

STYLE = "/auth/style.json"


@dataclass(frozen=True, slots=True)
class Gateway:
    """`issuer` is the external URL of the server; `documents` say the same to everybody, as JSON, by path."""

    authorization: Authorization
    bearer: Bearer
    grants: GrantStates
    keys: SigningKeys
    cors: Cors
    clock: Clock
    issuer: str
    documents: Mapping[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "documents", _documents(self.issuer))


def _documents(issuer: str) -> Mapping[str, bytes]:
    told = {
        "/fhir/.well-known/smart-configuration": smart_configuration(issuer),
        "/.well-known/openid-configuration": openid_configuration(issuer),
        "/.well-known/oauth-authorization-server": authorization_server(issuer),
        STYLE: STYLES,
    }
    return {path: json.encode(content) for path, content in told.items()}
