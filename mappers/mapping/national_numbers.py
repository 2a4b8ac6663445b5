"""Numbers by which a state knows a person, as far as a mapper may carry them.

Référentiel INS, FR Core 2.1.0 (fr-core-1, fr-core-2); NHS Data Dictionary "NHS NUMBER", UK Core 2.6.1. A number whose
digits do not hold together is somebody else's or nobody's. An INS is carried with a qualified identity alone.
"""

import re
from collections.abc import Mapping

from mappers.mapping.identifiers import identifier
from mappers.mapping.json_text import Json

NHS = "https://fhir.nhs.uk/Id/nhs-number"
INS_NIR, INS_NIA = "urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9"
INS = frozenset({INS_NIR, INS_NIA})
INS_OF_TESTS = frozenset({"urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.11"})
QUALIFIED = "VALI"

NO_NUMBER = "Its digits do not hold together; it is not carried."
NOT_QUALIFIED = "An INS is carried with a qualified identity alone: VALI, full birth date, sex, family and given name."
OF_TESTS = "It is an INS for tests or demonstrations."
SEVERAL = "There are several INS; a qualified identity has one."

_USES: Mapping[str, str] = {INS_NIR: "official", INS_NIA: "temp"}
_NHS_FORM = re.compile(r"[0-9]{10}")
_INS_FORM = re.compile(r"([1-478][0-9]{4}(?:[0-9]{2}|2A|2B)[0-9]{6})([0-9]{2})")
_RELIABILITY = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability"
_STATES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445"
_VERIFICATION = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
_VERIFIED = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland"
_TRACED = re.compile(r"NSTS(0[1-8])")
_MODULUS_NHS, _MODULUS_INS = 11, 97


def is_nhs_number(text: str) -> bool:
    """Ten digits; the last one completes the weighted sum of the others, modulo 11."""
    return bool(_NHS_FORM.fullmatch(text)) and not (
        sum(int(digit) * weight for digit, weight in zip(text, range(10, 0, -1), strict=True)) % _MODULUS_NHS
    )


def is_ins(text: str) -> bool:
    """Thirteen characters and a key of two digits; 2A and 2B of Corsica count as 19 and 18."""
    found = _INS_FORM.fullmatch(text)
    if found is None:
        return False
    number = int(found[1].replace("2A", "19").replace("2B", "18"))
    return int(found[2]) == _MODULUS_INS - number % _MODULUS_INS


def refusal(system: str, value: str, *, qualified: bool) -> str | None:
    """Why this number is not carried; None where it is."""
    if system == NHS:
        return None if is_nhs_number(_bare(value)) else NO_NUMBER
    if system in INS_OF_TESTS:
        return OF_TESTS
    if system not in INS:
        return None
    if not is_ins(_bare(value)):
        return NO_NUMBER
    return None if qualified else NOT_QUALIFIED


def national(system: str, value: str, states: str) -> Json:
    """The identifier; `states`: what the source says of how sure it is, such as `NSTS01`."""
    if system not in {NHS, *INS}:
        return identifier(system, value)
    found = identifier(system, _bare(value), _USES.get(system))
    traced = _TRACED.search(states) if system == NHS else None
    if traced is None:
        return found
    concept = {"coding": [{"system": _VERIFIED, "code": traced[1]}]}
    return {**found, "extension": [{"url": _VERIFICATION, "valueCodeableConcept": concept}]}


def reliability() -> Json:
    """An extension of a Patient whose identity is qualified."""
    state = {"url": "identityStatus", "valueCoding": {"system": _STATES, "code": QUALIFIED}}
    return {"url": _RELIABILITY, "extension": [state]}


def _bare(value: str) -> str:
    return value.replace(" ", "").replace("-", "")
