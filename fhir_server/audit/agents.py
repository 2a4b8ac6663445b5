"""Who took part, as JSON bytes: the client, this server, the person, and the token they used.

IHE BALP 1.1, R-BALP-003, 004, 012 and 014: the token's id travels in an agent of its own, never the token.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from fhir_server.audit.balp import PARTICIPATION, USER_AGENTS, Pattern, concept, members
from fhir_server.engine.call import Principal
from fhir_server.kernel.json import encode

_ACT_REASON = b'{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":'
_ROLE = b',"role":[{"coding":[{"system":"urn:aesthetic-fhir-server:role","code":'
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\w+)?", re.ASCII)
_TOKEN_AGENT = members({"type": concept((USER_AGENTS, "UserOauthAgent")), "requestor": True})
_RECIPIENT = b"{" + members({"type": concept((PARTICIPATION, "IRCP")), "requestor": True}) + b',"who":{"reference":'


_PROVIDER = ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV")
_ORGANIZATION = b"{" + members({"type": concept(_PROVIDER), "requestor": False}) + b',"who":{'


@dataclass(frozen=True, slots=True)
class Organization:
    """For whom somebody asks, and where the data come from: the clinic. `id` is a URI, empty where it has none."""

    name: str
    id: str = ""


def organization(clinic: Organization) -> bytes:
    identified = b'"identifier":{"system":"urn:ietf:rfc:3986","value":' + text(clinic.id) + b"}," if clinic.id else b""
    return _ORGANIZATION + identified + b'"display":' + text(clinic.name) + b"}}"


def text(value: str) -> bytes:
    """A JSON string. What is no Unicode text (a lone surrogate) becomes a question mark: the event must be written."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode(value.encode("utf-8", "replace").decode())


def purpose(code: str) -> bytes:
    """The purpose that a call states, as a CodeableConcept."""
    return _ACT_REASON + text(code) + b"}]}"


@lru_cache(maxsize=16)
def observer(server: str) -> bytes:
    """The server that records, as a Reference by its base URL."""
    return b'{"identifier":{"system":"urn:ietf:rfc:3986","value":' + text(server) + b"}}"


def client(principal: Principal, address: str, opening: bytes) -> bytes:
    """The client application and the address it came from; it is the requestor where nobody stands behind it."""
    alone = b"false" if principal.fhir_user or principal.token_id else b"true"
    parts = (
        opening,
        text(principal.client_id or "unknown"),
        b'}},"requestor":',
        alone,
        b',"network":',
        network(address),
        b"}",
    )
    return b"".join(parts)


def network(address: str) -> bytes:
    """An address in numbers, or a machine's name; not known, it is still said of what kind it would be."""
    if not address:
        return b'{"type":"2"}'
    kind = b"2" if _ADDRESS.fullmatch(address) else b"1"
    return b'{"address":' + text(address) + b',"type":"' + kind + b'"}'


def server_agent(pattern: Pattern, server: str, seen: bytes) -> bytes:
    return pattern.server + b'"who":' + seen + b',"network":{"address":' + text(server) + b',"type":"5"}}'


def user(principal: Principal, stated: bytes, opening: bytes = _RECIPIENT) -> bytes:
    """The person who asks, with name, role and purpose; only where the token says who it is."""
    name = b',"name":' + text(principal.name) if principal.name else b""
    role = _ROLE + text(principal.role) + b"}]}]" if principal.role else b""
    return opening + text(principal.fhir_user or "") + b"}" + name + role + b',"purposeOfUse":[' + stated + b"]}"


def token(principal: Principal) -> bytes:
    """The token's subject and id. Empty where no token was used."""
    if not principal.token_id:
        return b""
    return b"{" + _TOKEN_AGENT + _subject(principal) + b',"policy":[' + text(token_uri(principal)) + b"]}"


def token_uri(principal: Principal) -> str:
    """RFC 9068's jti as a URI; what a URI cannot hold is percent-encoded."""
    jti = principal.token_id
    plain = jti.isascii() and jti.isalnum()
    return "urn:ietf:params:oauth:jti:" + (jti if plain else quote(jti, safe="", errors="replace"))


def _subject(principal: Principal) -> bytes:
    if not principal.subject:
        return b""
    system = b'"system":' + text(principal.issuer) + b"," if principal.issuer else b""
    return b',"who":{"identifier":{' + system + b'"value":' + text(principal.subject) + b"}}"
