"""Something was handed to somebody outside: what, of whom, to whom, for what purpose and on what ground.

IHE BALP 1.1, PrivacyDisclosure.Source (R-BALP-017); row T58.
"""

from collections.abc import Sequence

from fhir_server.audit import agents, entities
from fhir_server.audit.agents import Organization, text
from fhir_server.audit.balp import DCM, PROFILES, coding, concept, members
from fhir_server.audit.event import SUCCESS, Draft
from fhir_server.engine.call import Call, Release
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import parse_reference

_WHAT = members(
    {
        "meta": {"profile": [f"{PROFILES}PrivacyDisclosure.Source"]},
        "type": coding(DCM, "110106"),
        "subtype": [coding("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "disclose")],
        "action": "R",
        "outcome": SUCCESS,
    }
)
_SOURCE = b"{" + members({"type": concept((DCM, "110153")), "requestor": False}) + b',"who":'
_RECIPIENT = b"{" + members({"type": concept((DCM, "110152")), "requestor": False}) + b',"who":{"reference":'
_STATED = _RECIPIENT.replace(b'"reference":', b'"display":')
"""Whoever is no resource here is whom they say they are."""

_NO_ADDRESS = b'},"network":' + agents.network("") + b"}"
_APPLICATION = b"{" + members({"type": concept((DCM, "110150"))}) + b',"who":{"identifier":{"value":'
_SOURCE_TYPE = members({"type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")]})


def disclosure(
    call: Call,
    release: Release,
    patient: str,
    basis: str,
    parts: Sequence[Stored],
    clinic: Organization | None,
    server: str,
) -> Draft:
    """`basis` is what the decision on the recipient rested on; empty where nothing of the parts needed one."""
    observer, stated = agents.observer(server), agents.purpose(release.purpose)
    took_part = [
        _SOURCE + observer + b',"network":{"address":' + text(server) + b',"type":"5"}}',
        (_RECIPIENT if parse_reference(release.recipient) else _STATED) + text(release.recipient) + _NO_ADDRESS,
        agents.client(call.principal, call.client_address, _APPLICATION),
    ]
    if call.principal.fhir_user:
        took_part.append(agents.user(call.principal, stated))
    if token := agents.token(call.principal):
        took_part.append(token)
    if clinic:
        took_part.append(agents.organization(clinic))
    touched = [entities.patient(patient), entities.handed_over(release.sha256, release.ground)]
    touched += [entities.basis(basis)] if basis else []
    touched += [entities.data(one.key, one.version) for one in parts]
    touched += [entities.operation(call.operation)] if call.operation else []
    touched += [entities.request_id(call.request_id)] if call.request_id else []
    written = (
        _WHAT,
        b',"purposeOfEvent":[' + stated + b'],"agent":[' + b",".join(took_part),
        b'],"source":{"observer":' + observer + b"," + _SOURCE_TYPE,
        b'},"entity":[' + b",".join(touched) + b"]}",
    )
    return Draft(b"".join(written))
