"""What keeps two records from becoming one, or two again; each with its own words.

GDPR Art. 5(1)(d), 18(2); R4's Patient.link. Two people whose records were made one are harder to tell apart than one
person with two records.
"""

from collections.abc import Iterator, Mapping, Sequence

from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.remedies import is_restriction
from fhir_server.privacy.requests import is_open

REPLACED_BY, REPLACES = "replaced-by", "replaces"
_KINDS = "http://terminology.hl7.org/CodeSystem/v2-0203"
_NATIONAL_KINDS = frozenset({"NI", "SS"})
_NATIONAL = frozenset(
    {
        "https://fhir.nhs.uk/Id/nhs-number",
        *("urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9"),
        *("http://fhir.de/sid/gkv/kvid-10", "http://fhir.de/NamingSystem/gkv/kvid-10"),
        "http://fhir.nl/fhir/NamingSystem/bsn",
        "http://hl7.it/sid/codiceFiscale",
        "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/ssin",
        *("urn:oid:2.16.756.5.32", "urn:oid:1.2.208.176.1.2", "urn:oid:1.2.246.21", "http://hl7.org/fhir/sid/us-ssn"),
    }
)
"""Systems by which a state or its health service knows a person: each gives one number to one person.

Systems as published by NHS England, the French INS, gematik, Nictiz, HL7 Italia, eHealth Belgium, the Swiss AHVN13,
MedCom, the Finnish KELA, HL7. A type of `NI`, `SS` or `NN…` says the same of any other.
"""


def require_two(source: str, target: str) -> None:
    if source == target:
        raise UnprocessableError("A record is not merged with itself.", expression="Parameters.parameter")


def require_mergeable(source: Stored, target: Stored, *, merged: bool) -> None:
    """`merged`: it was done here, and not undone. A link that another system wrote may precede it."""
    into = linked(source.resource, REPLACED_BY)
    if merged:
        raise ConflictError(f"{source.key} was merged into {target.key} already.")
    if into - {target.key}:
        raise ConflictError(f"{source.key} is replaced by another record: {min(into - {target.key})}.")
    if by := linked(target.resource, REPLACED_BY):
        raise ConflictError(f"{target.key} is itself replaced by {min(by)}.")
    if target.resource.get("active") is False:
        raise ConflictError(f"{target.key} is not active.")
    if _contradict(_national(source.resource), _national(target.resource)):
        raise ConflictError("The records have different numbers of one national system: they are of two people.")


def require_free(holds: Sequence[Stored], consents: Sequence[Stored]) -> None:
    """`holds`: what a search for them found; one that is over holds nothing."""
    if found := [one.key for one in holds if is_open(one.resource)]:
        raise ConflictError(f"Nothing is moved while a legal hold or a complaint is open: {min(found)}.")
    if found := [one.key for one in consents if is_restriction(one.resource)]:
        raise ConflictError(f"Nothing is moved while processing is restricted (Art. 18): {min(found)}.")


def linked(patient: Json, how: str) -> frozenset[ResourceKey]:
    keys = [
        parse_reference(str(one.get("other", {}).get("reference", "")))
        for one in patient.get("link", [])
        if one.get("type") == how
    ]
    return frozenset(key for key in keys if key)


def _contradict(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> bool:
    return any(values.isdisjoint(other[system]) for system, values in one.items() if system in other)


def _national(patient: Json) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for system, value in _numbers(patient):
        found[system] = found.get(system, frozenset()) | {value}
    return found


def _numbers(patient: Json) -> Iterator[tuple[str, str]]:
    for one in patient.get("identifier", []):
        system, value = str(one.get("system", "")), "".join(str(one.get("value", "")).split()).casefold()
        if value and one.get("use") != "old" and (system in _NATIONAL or _is_of_a_nation(one)):
            yield system, value


def _is_of_a_nation(identifier: Json) -> bool:
    codings = identifier.get("type", {}).get("coding", [])
    codes = [str(one.get("code", "")) for one in codings if one.get("system") == _KINDS]
    return any(code in _NATIONAL_KINDS or code.startswith("NN") for code in codes)
