"""What was touched, as JSON bytes: the resource, the patient, the query, the basis, the request, the failure.

IHE BALP 1.1, R-BALP-005 to 010. Each entity has a type of its own, because BALP slices them by it.
"""

import binascii
import re
from collections.abc import Mapping

from fhir_server.audit.agents import text
from fhir_server.audit.balp import USER_AGENTS, coding, members
from fhir_server.engine.call import Call
from fhir_server.kernel.identity import ResourceKey

_TYPES = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
_RESOURCES = "http://hl7.org/fhir/resource-types"
_REQUEST_IDS = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"


def _opening(type: tuple[str, str], role: str | None = None) -> bytes:
    of_role = {"role": coding(_ROLES, role)} if role else {}
    return b"{" + members({"type": coding(*type), **of_role})


_DATA = _opening((_TYPES, "2"), "4") + b',"what":{"reference":'
_PATIENT = _opening((_TYPES, "1"), "1") + b',"what":{"reference":'
_QUERY = _opening((_TYPES, "2"), "24") + b',"query":"'
_CONSENT = _opening((_RESOURCES, "Consent")) + b',"what":{"reference":'
_OTHER_BASIS = _opening((_TYPES, "4"), "13") + b',"what":{"identifier":{"value":'
_REQUEST_ID = _opening((_REQUEST_IDS, "XrequestId")) + b',"what":{"identifier":{"value":'
_TOKEN = _opening((USER_AGENTS, "UserOauthAgent")) + b',"what":{"identifier":{"value":'
_OPERATION = _opening((_TYPES, "4")) + b',"name":'
_OUTCOME = _opening((_RESOURCES, "OperationOutcome")) + b',"detail":['
_HANDED_OVER = _opening((_TYPES, "4"), "3")
_SUSPICIOUS = ("authorization", "cookie", "api-key", "access_token", "client_secret")
_SECRETS = re.compile(
    r"^(?:authorization|proxy-authorization|cookie|x-api-key)[ \t]*:.*$\n?"
    r"|(?<=[?&\n])(?:access_token|client_secret)=[^&\s]*",
    re.IGNORECASE | re.MULTILINE,
)


def data(key: ResourceKey, version: int | None) -> bytes:
    """The resource; to its version where one is known (R-BALP-006)."""
    history = "" if version is None else f"/_history/{version}"
    return _DATA + text(f"{key.type}/{key.id}{history}") + b"}}"


def patient(id: str, details: bytes = b"") -> bytes:
    return _PATIENT + text(f"Patient/{id}") + b"}" + details + b"}"


def query(call: Call, server: str) -> bytes:
    """The request as it came, in base64. Credentials were removed before; one that slipped through goes here."""
    raw = call.request or f"GET {server}/{call.type or ''}"
    folded = raw.lower()
    for word in _SUSPICIOUS:
        if word in folded:
            raw = _SECRETS.sub("", raw)
            break
    return _QUERY + binascii.b2a_base64(raw.encode("utf-8", "replace"), newline=False) + b'"}'


def basis(named: str) -> bytes:
    """What the access rested on: the version of a Consent, or a rule by its name."""
    if named.startswith("Consent/"):
        return _CONSENT + text(named) + b"}}"
    return _OTHER_BASIS + text(named) + b"}}}"


def consent(named: str, told: Mapping[str, str]) -> bytes:
    """The Consent that decided, and what else is to be said beside it."""
    written = [b'{"type":' + text(name) + b',"valueString":' + text(value) + b"}" for name, value in told.items()]
    return _CONSENT + text(named) + b'},"detail":[' + b",".join(written) + b"]}"


def request_id(id: str) -> bytes:
    return _REQUEST_ID + text(id) + b"}}}"


def token(id: str) -> bytes:
    return _TOKEN + text(id) + b"}}}"


def operation(name: str) -> bytes:
    return _OPERATION + text(f"${name}") + b"}"


def outcome(code: str, diagnostics: str) -> bytes:
    """What an OperationOutcome said to the client: its issue code and its words, which quote no resource."""
    details = [("code", code), ("diagnostics", diagnostics)]
    written = [b'{"type":"' + name.encode() + b'","valueString":' + text(said) + b"}" for name, said in details if said]
    return _OUTCOME + b",".join(written) + b"]}"


def handed_over(sha256: str, ground: str) -> bytes:
    """What left, by the hash of the whole, and on what ground; whoever holds it finds the event by it."""
    details = [("sha-256", sha256), ("ground", ground)]
    written = [b'{"type":' + text(name) + b',"valueString":' + text(said) + b"}" for name, said in details]
    return _HANDED_OVER + b',"name":"release","detail":[' + b",".join(written) + b"]}"
