"""The Provenance of a withdrawal: which version ended the consent, when, on whose word, and who took it down.

Row T97: recorded with date and time. https://hl7.org/fhir/R4/provenance.html
"""

from fhir_server.consent.terms import WITHDRAWN_AT, WITHDRAWN_BY, codes, instants
from fhir_server.engine.call import Principal
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

WITHDRAWAL = "urn:aesthetic-fhir-server:withdrawal"
"""The system of the activity; its codes are `withdrawn` and `expired`."""

EXPIRY = "expiry"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def provenance(key: ResourceKey, consent: Json, version: int, by: Principal, now: str) -> Json:
    """`version` is that of the Consent which says so, `by` who wrote it."""
    words = codes(consent, WITHDRAWN_BY)
    expired = EXPIRY in words
    patient = consent["patient"]["reference"]
    own = by.patient is not None and patient == f"Patient/{by.patient}"
    said = [one for one in words if isinstance(one, str)]
    agents = [agent("author", {"reference": patient})] if own or (said and not expired) else []
    if not own:
        agents.append(agent("enterer", told(by)))
    when = next((one for one in instants(consent, WITHDRAWN_AT) if isinstance(one, str)), now)
    return {
        "resourceType": "Provenance",
        "id": key.id,
        "target": [{"reference": f"Consent/{consent['id']}/_history/{version}"}],
        "occurredDateTime": when,
        "recorded": now,
        **({"reason": [{"text": f"withdrawn by: {said[0]}"}]} if said else {}),
        "activity": {"coding": [{"system": WITHDRAWAL, "code": "expired" if expired else "withdrawn"}]},
        "agent": agents,
    }


def told(by: Principal) -> Json:
    """As the token says: whether that person is on file here is not looked up within a withdrawal."""
    return {"identifier": {"system": by.issuer or "urn:aesthetic-fhir-server", "value": by.fhir_user or by.subject}}


def agent(kind: str, who: Json) -> Json:
    return {"type": {"coding": [{"system": _PARTICIPATION, "code": kind}]}, "who": who}
