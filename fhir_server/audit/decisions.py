"""A consent that refused, as an event of its own profile: who asked, for which organisation, of whom, by which Consent.

IHE BALP 1.1, AuthZconsent (R-BALP-016). Its entities are a closed list, so what else there is to say lies in details.
"""

from fhir_server.audit import agents, entities
from fhir_server.audit.agents import Organization, text
from fhir_server.audit.balp import CONSENT_PROFILE, DCM, coding, concept, members
from fhir_server.engine.call import Call
from fhir_server.kernel.identity import ResourceKey

_AUTHORIZER = ("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver")
_DECISION = members(
    {
        "meta": {"profile": [CONSENT_PROFILE]},
        "type": coding(DCM, "110113"),
        "subtype": [coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent")],
        "action": "E",
    }
)
_APPLICATION = b"{" + members({"type": concept((DCM, "110150"))}) + b',"who":{"identifier":{"value":'
_AUTHORIZES = b"{" + members({"type": concept(_AUTHORIZER), "requestor": False}) + b',"who":'
_SOURCE_TYPE = members({"type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")]})


def refusal(
    call: Call,
    description: str,
    patient: str,
    basis: str,
    organization: Organization,
    touched: tuple[ResourceKey | None, int | None],
    server: str,
) -> bytes:
    """All but the beginning. `basis`: the version of the Consent that refuses; `touched`: what was asked for."""
    observer, stated = agents.observer(server), agents.purpose(call.purpose)
    found = [entities.patient(patient), entities.consent(basis, _told(call, touched))]
    if call.principal.token_id:
        found.append(entities.token(call.principal.token_id))
    took_part = [
        agents.client(call.principal, call.client_address, _APPLICATION),
        agents.user(call.principal, stated),
        agents.organization(organization),
        _AUTHORIZES + observer + b"}",
    ]
    parts = (
        _DECISION,
        b',"outcome":"8"',
        b',"outcomeDesc":' + text(description) if description else b"",
        b',"purposeOfEvent":[' + stated + b'],"agent":[' + b",".join(took_part),
        b'],"source":{"observer":' + observer + b"," + _SOURCE_TYPE,
        b'},"entity":[' + b",".join(found) + b"]}",
    )
    return b"".join(parts)


def _told(call: Call, touched: tuple[ResourceKey | None, int | None]) -> dict[str, str]:
    key, version = touched
    asked = f"{key}/_history/{version}" if key and version is not None else str(key) if key else call.type or ""
    told = {"request-id": call.request_id, "interaction": call.interaction.value, "asked-for": asked}
    return {name: value for name, value in told.items() if value}
