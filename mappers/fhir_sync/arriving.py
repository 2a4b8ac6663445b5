"""An element as the other side would have it, and what must not arrive as it was sent.

GDPR Art. 7(1): a consent from elsewhere is `proposed` here, until somebody has its evidence. A rule of a Consent that
loses whom it names would permit more than was said. National numbers come as far as their digits and states allow.
"""

from collections.abc import Sequence

from mappers.fhir_sync.authority import Side
from mappers.fhir_sync.crossing import Crossing
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json
from mappers.mapping.national_numbers import QUALIFIED, refusal
from mappers.mapping.result import Loss

NOT_OVER = "It refers to what the other side has no copy of."
PROPOSED = "A consent from elsewhere is proposed here: its evidence is not."
_NARROWER = "The rule of a Consent names what the other side has no copy of."
_TRAITS = frozenset({"birthDate", "gender", "name"})
_RELIABILITY = "identity-reliability"


def arriving(source: Json, name: str, element: Json, side: Side, crossing: Crossing, losses: list[Loss]) -> Json | None:
    """None where nothing is left of it. `side`: where it comes from."""
    type = source["resourceType"]
    before = len(crossing.lost)
    found = crossing.over(element)
    lost = dict.fromkeys(crossing.lost[before:])
    if lost and (type, name) == ("Consent", "provision"):
        raise UnusableError(_NARROWER)
    losses += [Loss(f"{type}.{path}", NOT_OVER) for path in lost]
    if side is Side.THEIRS and (type, name) == ("Consent", "status") and found["status"] == "active":
        losses.append(Loss("Consent.status", PROPOSED))
        return {"status": "proposed"}
    if side is Side.THEIRS and (type, name) == ("Patient", "identifier"):
        found["identifier"] = _numbers(source, found["identifier"], losses)
    return {part: value for part, value in found.items() if value != []} or None


def _numbers(patient: Json, identifiers: Sequence[Json], losses: list[Loss]) -> list[Json]:
    kept = []
    for one in identifiers:
        why = refusal(str(one.get("system")), str(one.get("value")), qualified=_is_qualified(patient))
        if why:
            losses.append(Loss("Patient.identifier", why))
        else:
            kept.append(one)
    return kept


def _is_qualified(patient: Json) -> bool:
    said = [one for one in patient.get("extension", ()) if str(one.get("url")).endswith(_RELIABILITY)]
    states = [part.get("valueCoding", {}).get("code") for one in said for part in one.get("extension", ())]
    return QUALIFIED in states and patient.keys() >= _TRAITS
