"""The clients of the demo clinic, one of each kind and an EHR: registered at the first start, kept at later ones.

Their credentials stand in `demo.json`, and so are worth nothing beyond the demo.
"""

from collections.abc import Sequence

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from fhir_server.smart.clients.registration import register
from fhir_server.smart.opaque import matches
from fhir_server.smart.ports import Clients
from fhir_server.smart.scope_grants import INTROSPECTS, LAUNCHES

_SIGN_IN = ("launch", "launch/patient", "openid", "fhirUser", "offline_access", "online_access")
_APP = (*_SIGN_IN, "patient/*.cruds", "user/*.cruds", "user/AuditEvent.rs")
_PURPOSES = ("TREAT", "PATADMIN", "HMARKT", "HCOMPL", "HLEGAL", "HSYSADMIN", "PATRQT", "FAMRQT")
"""One of each role, so that everybody of the demo clinic can use any of its apps."""

_PLACES = ("http://127.0.0.1:9876/callback", "http://localhost:9876/callback")
_ANY_PORT = "http://127.0.0.1/native/callback"
_LAUNCH = "http://127.0.0.1:9876/launch"

_CLIENTS = (
    Client("demo-backend", Kind.BACKEND, "Demo back end", ("system/*.cruds", "system/AuditEvent.rs")),
    Client("demo-public", Kind.PUBLIC, "Demo app", _APP, (*_PLACES, _ANY_PORT), _PURPOSES, launch_url=_LAUNCH),
    Client("demo-symmetric", Kind.SYMMETRIC, "Demo web app", _APP, _PLACES, _PURPOSES, launch_url=_LAUNCH),
    Client("demo-asymmetric", Kind.ASYMMETRIC, "Demo signing app", _APP, _PLACES, _PURPOSES, launch_url=_LAUNCH),
    Client("demo-ehr", Kind.BACKEND, "Demo EHR", ("system/*.rs", LAUNCHES, INTROSPECTS)),
)


def demo_clients(rows: Clients, before: Sequence[Json]) -> list[Json]:
    """As `demo.json` tells of them. `before` is what it told at the last start; who still fits that is left alone."""
    known = {client["client_id"]: client for client in before}
    return [_kept(rows, client, known.get(client.client_id, {})) or _made(rows, client) for client in _CLIENTS]


def _kept(rows: Clients, client: Client, told: Json) -> Json | None:
    there = rows.get(client.client_id)
    if there is None or there.disabled:
        return None
    if client.kind.signs and _kids(there) != [told.get("private_jwk", {}).get("kid")]:
        return None
    if there.secret is not None and not matches(there.secret, told.get("secret", "")):
        return None
    return _told(there, {name: told[name] for name in ("secret", "private_jwk") if name in told})


def _made(rows: Clients, client: Client) -> Json:
    """Registered anew, over what may be there."""
    there = rows.get(client.client_id)
    private = _private_jwk(client) if client.kind.signs else None
    registered = register(client.changed(jwks=public_set(private) if private else None))
    saved = registered.client.changed(revision=there.revision + 1 if there else 1)
    rows.save(saved)
    secrets = {"secret": registered.secret, "private_jwk": private}
    return _told(saved, {name: secret for name, secret in secrets.items() if secret})


def _told(client: Client, secrets: Json) -> Json:
    return {
        "client_id": client.client_id,
        "kind": client.kind.value,
        **secrets,
        "redirect_uris": client.redirect_uris,
        "scope": " ".join(client.scopes),
    }


def _private_jwk(client: Client) -> Json:
    """RS384 for a back end, ES384 for an app, so that both are tried."""
    return new_private_jwk("RS384" if client.kind is Kind.BACKEND else "ES384")


def _kids(client: Client) -> list[object]:
    return [key.get("kid") for key in (client.jwks or {}).get("keys", [])]
