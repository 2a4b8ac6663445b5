"""Pure: what happened -> the bytes of its AuditEvent, built from constant pieces because every access pays for it.

IHE BALP 1.1, R-BALP-001 to 010 and 016; https://hl7.org/fhir/R4/auditevent.html
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from fhir_server.audit import agents, entities
from fhir_server.audit.agents import Organization, text
from fhir_server.audit.balp import DISCLOSURES, PATTERNS, QUERY, Pattern, coding, members
from fhir_server.audit.decisions import refusal
from fhir_server.audit.ehds import details
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey

SUCCESS = "0"

_SOURCE_TYPE = members({"type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")]})


class Happening(NamedTuple):
    """One thing to be recorded.

    `outcome` is a code of http://hl7.org/fhir/R4/valueset-audit-event-outcome.html: `0`, or by weight `4`, `8`, `12`.
    `description` and `issue` (an IssueType code) say why it failed and hold nothing of a patient. `key` and `version`
    name the resource, `patient` an id. `basis` is what the access rested on, or the Consent that refused it
    (`Consent/7/_history/2`). `organization` is the clinic; a consent decision needs it.
    """

    call: Call
    outcome: str
    description: str
    key: ResourceKey | None
    version: int | None
    patient: str | None
    basis: str | None
    recorded: datetime
    organization: Organization | None = None
    issue: str = ""


class Draft(NamedTuple):
    """An AuditEvent that lacks only its id and the instant at which it is recorded; both are known at the commit."""

    rest: bytes

    def event(self, event_id: str, recorded: datetime) -> bytes:
        moment = instant(recorded).encode()
        return b"".join(
            (b'{"resourceType":"AuditEvent","id":', text(event_id), b',"recorded":"', moment, b'",', self.rest)
        )


def audit_event(event_id: str, happening: Happening, *, server: str) -> bytes:
    """The AuditEvent as JSON bytes. `server` is the FHIR base of this server, who observes it."""
    return draft(happening, server=server).event(event_id, happening.recorded)


def draft(happening: Happening, *, server: str) -> Draft:
    if _is_consent_refusal(happening):
        return Draft(_refused(happening, server))
    before, after = _around(happening, server)
    return Draft(_joined(before, happening.patient, happening.basis, after, _told(happening)))


def page_drafts(happening: Happening, seen: Mapping[str, str | None], *, server: str) -> tuple[Draft, ...]:
    """One draft per patient on a page of results (R-BALP-009), one without where there is none.

    `seen` maps each patient to the basis on which something of theirs was shown, and stands for the happening's own
    patient and basis. What the events share is built once.
    """
    if not seen:
        return (draft(happening._replace(patient=None, basis=None), server=server),)
    before, after = _around(happening._replace(patient=next(iter(seen))), server)
    told = _told(happening)
    return tuple(Draft(_joined(before, patient, basis, after, told)) for patient, basis in seen.items())


def _told(happening: Happening) -> bytes:
    """Of the patient's data: which category, and from where."""
    return details(happening.key.type if happening.key else happening.call.type, happening.organization)


def _joined(before: bytes, patient: str | None, basis: str | None, after: bytes, told: bytes) -> bytes:
    """The entities come last. An entity list is never empty: FHIR has no empty arrays."""
    listed = [entities.patient(patient, told)] if patient else []
    if basis:
        listed.append(entities.basis(basis))
    if after:
        listed.append(after)
    return before + (b',"entity":[' + b",".join(listed) + b"]}" if listed else b"}")


def _around(happening: Happening, server: str) -> tuple[bytes, bytes]:
    """Everything before the entities, and the entities other than patient and basis."""
    call = happening.call
    pattern = PATTERNS[call.interaction]
    before = (
        _claim(happening, pattern),
        pattern.disclosed if call.operation in DISCLOSURES else pattern.what,
        b',"outcome":"',
        happening.outcome.encode(),
        b'"',
        b',"outcomeDesc":' + text(happening.description) if happening.description else b"",
        _took_part(call.interaction, call.principal, call.purpose, call.client_address, server, happening.organization),
    )
    return b"".join(before), _touched(happening, pattern, server)


@lru_cache(maxsize=1024)
def _took_part(
    interaction: Interaction,
    principal: Principal,
    purpose: str,
    address: str,
    server: str,
    organization: Organization | None,
) -> bytes:
    """Who, why and through whom: the same for all that one client does under one token."""
    pattern = PATTERNS[interaction]
    observer = agents.observer(server)
    stated = agents.purpose(purpose)
    took_part = [agents.client(principal, address, pattern.client), agents.server_agent(pattern, server, observer)]
    if principal.fhir_user:
        took_part.append(agents.user(principal, stated, pattern.user))
    if token := agents.token(principal):
        took_part.append(token)
    if organization:
        took_part.append(agents.organization(organization))
    parts = (
        b',"purposeOfEvent":[',
        stated,
        b'],"agent":[',
        b",".join(took_part),
        b'],"source":{"observer":',
        observer,
        b",",
        _SOURCE_TYPE,
        b"}",
    )
    return b"".join(parts)


def _claim(happening: Happening, pattern: Pattern) -> bytes:
    """`meta.profile`, for what the event really fulfils: never for a failure, never without the entity it asks for."""
    if happening.outcome != SUCCESS:
        return b""
    has_token = bool(happening.call.principal.token_id)
    if pattern.shape is not QUERY and happening.key is None:
        return pattern.unclaimed[has_token]
    return pattern.claims[happening.patient is not None, has_token]


def _touched(happening: Happening, pattern: Pattern, server: str) -> bytes:
    call = happening.call
    found: list[bytes] = []
    if pattern.shape is QUERY:
        found.append(entities.query(call, server))
    elif happening.key is not None:
        found.append(entities.data(happening.key, happening.version))
    if call.operation:
        found.append(entities.operation(call.operation))
    return _with_request_and_outcome(found, happening)


def _with_request_and_outcome(found: list[bytes], happening: Happening) -> bytes:
    if happening.call.request_id:
        found.append(entities.request_id(happening.call.request_id))
    if happening.outcome != SUCCESS and (happening.issue or happening.description):
        found.append(entities.outcome(happening.issue, happening.description))
    return b",".join(found)


def _is_consent_refusal(happening: Happening) -> bool:
    """R-BALP-016: only with a person, an organisation, a patient and the Consent is it an AuthZconsent event."""
    if happening.outcome == SUCCESS or happening.basis is None or not happening.basis.startswith("Consent/"):
        return False
    return bool(happening.patient and happening.organization and happening.call.principal.fhir_user)


def _refused(happening: Happening, server: str) -> bytes:
    assert happening.organization is not None, "looked at before"
    return refusal(
        happening.call,
        happening.description,
        happening.patient or "",
        happening.basis or "",
        happening.organization,
        (happening.key, happening.version),
        server,
    )
