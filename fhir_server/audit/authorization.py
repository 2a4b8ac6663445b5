"""What the authorization server did, in the log: tokens issued, refused, revoked, looked at; launches and consents.

IHE BALP 1.1, IHE.IUA.71 (R-BALP-015): its one entity is the token request, without what opens anything. Where BALP has
no profile the event has the same form and claims none.
"""

import binascii
from collections.abc import Mapping

from fhir_server.audit import agents, entities
from fhir_server.audit.agents import text
from fhir_server.audit.balp import DCM, PARTICIPATION, USER_AGENTS, coding, concept, members
from fhir_server.audit.event import SUCCESS, Draft
from fhir_server.audit.recorder import MINOR_FAILURE, SERIOUS_FAILURE, Entry
from fhir_server.engine.authorization import AuthorizationEvent, Deed
from fhir_server.engine.ports import AuditLog

_IUA_71 = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71"
_OWN = "urn:aesthetic-fhir-server:authorization"
_IHE = "urn:ihe:event-type-code"
_OURS = frozenset({"server_error", "temporarily_unavailable"})

_SUBTYPE: Mapping[Deed, tuple[str, str]] = {
    Deed.AUTHORIZE: (_OWN, "authorize"),
    Deed.TOKEN: (_IHE, "ITI-71"),
    Deed.REVOKE: (_OWN, "revoke"),
    Deed.INTROSPECT: (_IHE, "ITI-102"),
    Deed.LAUNCH: (_OWN, "launch"),
}
_WHAT = {
    deed: members({"type": coding(DCM, "110114"), "subtype": [coding(*subtype)], "action": "E"})
    for deed, subtype in _SUBTYPE.items()
}
_CLAIM = members({"meta": {"profile": [_IUA_71]}}) + b","
_CLIENT = b"{" + members({"type": concept((DCM, "110150"))}) + b',"who":{"identifier":{"value":'
_SERVER = b"{" + members({"type": concept((USER_AGENTS, "AuthzOauthService")), "requestor": False}) + b',"who":'
_PERSON = b"{" + members({"type": concept((PARTICIPATION, "IRCP")), "requestor": True}) + b',"who":'
_REQUEST = b"{" + members(
    {
        "type": coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "2"),
        "role": coding("http://terminology.hl7.org/CodeSystem/object-role", "24"),
    }
)
_SOURCE_TYPE = members({"type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "6")]})


class Authorizations:
    """`server` is the FHIR base of the observer."""

    def __init__(self, log: AuditLog, server: str) -> None:
        self._log, self._server = log, server

    async def record(self, event: AuthorizationEvent) -> None:
        """Durable when it returns; raises where it is not, and then no answer may leave."""
        await self._log.append([Entry(draft(event, self._server))])


def draft(event: AuthorizationEvent, server: str) -> Draft:
    observer = agents.observer(server)
    took_part = [_client(event), _server(server, observer)]
    if event.principal is not None and event.principal.subject != event.principal.client_id:
        took_part.append(_person(event))
    issued = event.deed is Deed.TOKEN and not event.failure
    parts = (
        _CLAIM if issued else b"",
        _WHAT[event.deed],
        b',"outcome":"' + _outcome(event).encode() + b'"',
        b',"outcomeDesc":' + text(f"{event.failure}: {event.description}") if event.failure else b"",
        b',"agent":[' + b",".join(took_part) + b'],"source":{"observer":' + observer + b"," + _SOURCE_TYPE + b"}",
        b',"entity":[' + b",".join(_entities(event, issued=issued)) + b"]}",
    )
    return Draft(b"".join(parts))


def _outcome(event: AuthorizationEvent) -> str:
    if not event.failure:
        return SUCCESS
    return SERIOUS_FAILURE if event.failure in _OURS else MINOR_FAILURE


def _client(event: AuthorizationEvent) -> bytes:
    """The app; it is the requestor, and bears the token's id, where it acts for nobody."""
    principal = event.principal
    alone = principal is None or principal.subject == principal.client_id
    policy = (
        b',"policy":[' + text(agents.token_uri(principal)) + b"]" if principal and alone and principal.token_id else b""
    )
    return b"".join(
        (
            _CLIENT,
            text(event.client_id or "unknown"),
            b'}},"requestor":',
            b"true" if alone else b"false",
            policy,
            b',"network":',
            agents.network(event.client_address),
            b"}",
        )
    )


def _server(server: str, observer: bytes) -> bytes:
    return _SERVER + observer + b',"network":{"address":' + text(server) + b',"type":"5"}}'


def _person(event: AuthorizationEvent) -> bytes:
    principal = event.principal
    assert principal is not None, "only where somebody is known"
    who = b'{"identifier":{"system":' + text(principal.issuer) + b',"value":' + text(principal.subject) + b"}"
    if principal.fhir_user:
        who += b',"reference":' + text(principal.fhir_user)
    name = b',"name":' + text(principal.name) if principal.name else b""
    policy = b',"policy":[' + text(agents.token_uri(principal)) + b"]" if principal.token_id else b""
    return _PERSON + who + b"}" + name + policy + b"}"


def _entities(event: AuthorizationEvent, *, issued: bool) -> list[bytes]:
    """IUA.71 has the request and nothing beside it; what was granted is told in its details."""
    found = [_request(event)]
    if issued:
        return found
    if event.patient:
        found.append(entities.patient(event.patient))
    if event.request_id:
        found.append(entities.request_id(event.request_id))
    return found


def _request(event: AuthorizationEvent) -> bytes:
    query = binascii.b2a_base64(event.request.encode("utf-8", "replace"), newline=False)
    principal = event.principal
    told = {
        "grant": event.grant,
        "scope": " ".join(principal.scopes) if principal else "",
        "role": principal.role if principal else None,
    }
    details = [
        b'{"type":' + text(name) + b',"valueString":' + text(value) + b"}" for name, value in told.items() if value
    ]
    detail = b',"detail":[' + b",".join(details) + b"]" if details else b""
    return _REQUEST + b',"query":"' + query + b'"' + detail + b"}"
