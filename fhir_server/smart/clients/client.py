"""A registered client: what it is, how it proves that, where answers to it may go, what it may ask for.

SMART App Launch 2.2 "Client registration"; RFC 6749 section 2, RFC 8252 section 7.3. The methods are those by which
authlib's grants ask about a client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.opaque import matches
from fhir_server.smart.scope_grants import for_person

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)", re.ASCII)
_ORIGIN = re.compile(r"(https?://[^/?#]+)", re.ASCII)


class Kind(StrEnum):
    """Decides alone how a client authenticates and which grants it has."""

    BACKEND = "backend"
    PUBLIC = "public"
    SYMMETRIC = "confidential-symmetric"
    ASYMMETRIC = "confidential-asymmetric"

    @property
    def grants(self) -> frozenset[str]:
        if self is Kind.BACKEND:
            return frozenset({"client_credentials"})
        return frozenset({"authorization_code", "refresh_token"})

    @property
    def signs(self) -> bool:
        """Does it authenticate by private_key_jwt?"""
        return self in {Kind.BACKEND, Kind.ASYMMETRIC}


@dataclass(frozen=True, slots=True)
class Client:
    """`secret` is the SHA-256 of what the client knows: 256 random bits, so that nothing slower guards it better.

    `purposes` are v3-ActReason codes and all that the client may ever state. `revision` rises with each change.
    """

    client_id: str
    kind: Kind
    name: str
    scopes: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ("TREAT",)
    jwks: Json | None = None
    jwks_uri: str | None = None
    launch_url: str | None = None
    secret: bytes | None = field(default=None, repr=False)
    disabled: bool = False
    revision: int = 1

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: each request says where its answer goes, also where one place alone is registered."""

    def check_redirect_uri(self, uri: str) -> bool:
        """Equal to a registered one, byte for byte; a native app's loopback address has any port (RFC 8252 7.3).

        Only one registered without a port is meant so: with a port, it is that port.
        """
        if uri in self.redirect_uris:
            return True
        found = _LOOPBACK.fullmatch(uri)
        return self.kind is Kind.PUBLIC and found is not None and found[1] + found[2] in self.redirect_uris

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and "authorization_code" in self.kind.grants

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.kind.grants

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What of the asked scopes may be put before a person. None, which is invalid_scope, where nothing is left."""
        return " ".join(for_person((scope or "").split(), self.scopes)) or None

    def knows(self, secret: str) -> bool:
        return self.secret is not None and matches(self.secret, secret)

    @property
    def origins(self) -> frozenset[str]:
        """Whence its pages may call (CORS). A loopback address without a port stands for all of its ports."""
        pages = () if self.disabled else (*self.redirect_uris, self.launch_url or "")
        return frozenset(found[1] for page in pages if (found := _ORIGIN.match(page)))

    def changed(self, **values: Any) -> Self:  # noqa: ANN401  any of its fields
        """Its next revision."""
        return replace(self, **{"revision": self.revision + 1, **values})

    def encoded(self) -> bytes:
        """All but the id and the revision, which are its address."""
        return json.encode(
            {
                "kind": self.kind.value,
                "name": self.name,
                "scopes": self.scopes,
                "redirect_uris": self.redirect_uris,
                "purposes": self.purposes,
                "jwks": self.jwks,
                "jwks_uri": self.jwks_uri,
                "launch_url": self.launch_url,
                "secret": self.secret.hex() if self.secret else None,
                "disabled": self.disabled,
            }
        )


def decoded(client_id: str, revision: int, raw: bytes) -> Client:
    found: Mapping[str, Any] = json.decode_trusted(raw)
    return Client(
        client_id,
        Kind(found["kind"]),
        found["name"],
        tuple(found["scopes"]),
        tuple(found["redirect_uris"]),
        tuple(found["purposes"]),
        found["jwks"],
        found["jwks_uri"],
        found["launch_url"],
        bytes.fromhex(found["secret"]) if found["secret"] else None,
        found["disabled"],
        revision,
    )
