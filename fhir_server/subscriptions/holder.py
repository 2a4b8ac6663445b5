"""Under whose rights a subscription tells: those of the client that wrote it last, kept in the resource for all to see.

GDPR Art. 5(2), 25. Written by the server alone, in the version that it is about: it cannot be missing or another's.
"""

from dataclasses import dataclass

from fhir_server.engine.call import Call, Principal
from fhir_server.kernel.json import Json

SUBSCRIBER = "urn:aesthetic-fhir-server:subscriber"


@dataclass(frozen=True, slots=True)
class Holder:
    principal: Principal
    purpose: str


def held_by(call: Call, resource: Json) -> Json:
    """The resource as the caller's, whatever it said before."""
    principal = call.principal
    parts = [
        {"url": "client", "valueString": principal.client_id},
        {"url": "role", "valueString": principal.role},
        {"url": "purpose", "valueString": call.purpose},
        *({"url": "scope", "valueString": scope} for scope in principal.scopes),
        *({"url": "may-state", "valueString": purpose} for purpose in principal.purposes),
    ]
    others = [one for one in resource.get("extension", []) if one.get("url") != SUBSCRIBER]
    return {**resource, "extension": [*others, {"url": SUBSCRIBER, "extension": parts}]}


def holder_of(resource: Json, issuer: str) -> Holder | None:
    """None for a subscription of before there were any notifications: it is nobody's, and tells nobody."""
    for one in resource.get("extension", []):
        if one.get("url") == SUBSCRIBER:
            return _read(one["extension"], issuer)
    return None


def _read(parts: list[Json], issuer: str) -> Holder:
    said: dict[str, list[str]] = {}
    for part in parts:
        said.setdefault(part["url"], []).append(part["valueString"])
    [client], [role], [purpose] = said["client"], said["role"], said["purpose"]
    scopes, purposes = tuple(said.get("scope", ())), tuple(said.get("may-state", ()))
    return Holder(Principal(client, client, issuer, "", scopes=scopes, role=role, purposes=purposes), purpose)
