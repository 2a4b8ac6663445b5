"""The Consents by which a restriction or an objection holds: refusals, which the gate obeys from that commit on; pure.

GDPR Art. 18(2): what is restricted is stored, and used for legal claims, to protect others, or as the person agrees;
Art. 21(1) and (3): marketing ends at once, other processing while it is decided on. Row S53.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from fhir_server.consent.purposes import ACT_REASON, CARE_PHOTOGRAPHY, MARKETING, coded
from fhir_server.consent.terms import in_force
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.rights import OBJECT, RESTRICT, STATE

REQUEST = "urn:aesthetic-fhir-server:rights-request"
"""Extension of a Consent: the Task by which it came."""

_SCOPE = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
_OPT_OUT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}
_RECEIVER = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
_STILL = ("HCOMPL", "HLEGAL", "PATRQT", "FAMRQT")
"""What a restriction leaves: to comply with the law and establish claims, and to answer the person it is about."""


def restriction(
    patient: ResourceKey, request: ResourceKey, now: datetime, resources: Sequence[ResourceKey] = ()
) -> Json:
    """Of everything, or of these resources."""
    data = [{"meaning": "instance", "reference": {"reference": str(key)}} for key in resources]
    rule: Json = {"type": "deny", "provision": [*_left(), _own_photos(patient)]}
    return _refusal(RESTRICT, patient, request, now, {**rule, **({"data": data} if data else {})})


def objections(patient: ResourceKey, request: ResourceKey, now: datetime, purposes: Sequence[str]) -> Sequence[Json]:
    """One to each purpose; `marketing` is all that sells."""
    every = [each for purpose in purposes for each in (sorted(MARKETING) if purpose == "marketing" else [purpose])]
    return [
        _refusal(OBJECT, patient, request, now, {"type": "deny", "purpose": [_coding(each)]})
        for each in dict.fromkeys(every)
    ]


def is_restriction(consent: Json) -> bool:
    return in_force(consent) and _code(consent) == RESTRICT


def request_behind(consent: Json) -> ResourceKey | None:
    found = [one for one in consent.get("extension", []) if one.get("url") == REQUEST]
    return parse_reference(found[0]["valueReference"]["reference"]) if found else None


def _left() -> Iterator[Json]:
    for code in _STILL:
        yield {"type": "permit", "purpose": [{"system": ACT_REASON, "code": code}]}


def _own_photos(patient: ResourceKey) -> Json:
    """The person goes on to see their own."""
    actor = {"role": {"coding": [_RECEIVER]}, "reference": {"reference": str(patient)}}
    return {"type": "permit", "purpose": [coded(CARE_PHOTOGRAPHY)], "actor": [actor]}


def _refusal(right: str, patient: ResourceKey, request: ResourceKey, now: datetime, rule: Json) -> Json:
    return {
        "resourceType": "Consent",
        "status": "active",
        "extension": [{"url": REQUEST, "valueReference": {"reference": str(request)}}],
        "scope": {"coding": [_SCOPE]},
        "category": [{"coding": [{"system": STATE, "code": right}]}],
        "patient": {"reference": str(patient)},
        "dateTime": instant(now),
        "policyRule": {"coding": [_OPT_OUT]},
        "provision": rule,
    }


def _coding(purpose: str) -> Json:
    system, _, code = purpose.partition("|")
    return {"system": system, "code": code} if code else coded(purpose)


def _code(consent: Json) -> str:
    codings = [one for category in consent.get("category", []) for one in category.get("coding", [])]
    return next((str(one.get("code")) for one in codings if one.get("system") == STATE), "")
