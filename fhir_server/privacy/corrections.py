"""What a rectification leaves behind: a Provenance that names the old and the new version, and why; pure.

GDPR Art. 16, row S50: the disputed value stays in the history. https://hl7.org/fhir/R4/provenance.html
"""

from datetime import datetime

from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_NOT_SAID = frozenset({"meta", "text"})


def differing(before: Stored, after: Stored) -> str:
    """The names of the elements that differ: never what they say."""
    old, new = before.resource, after.resource
    names = sorted(name for name in {*old, *new} - _NOT_SAID if old.get(name) != new.get(name))
    return ", ".join(names) or "nothing"


def provenance(request: ResourceKey, after: Stored, before: Stored, because: str, now: datetime) -> Json:
    """That the version corrects the one before it, at a patient's request."""
    who = parse_reference(after.author)
    agent = {"reference": str(who)} if who else {"display": "This server"}
    reason = {"coding": [{"system": _ACT, "code": "PATRQT"}], **({"text": because} if because else {})}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{after.key}/_history/{after.version}"}],
        "recorded": instant(now),
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": "UPDATE"}]},
        "reason": [reason],
        "agent": [{"who": agent}],
        "entity": [
            {"role": "revision", "what": {"reference": f"{before.key}/_history/{before.version}"}},
            {"role": "source", "what": {"reference": str(request)}},
        ],
    }
