"""The CapabilityStatement: what is really switched on, and nothing more.

https://hl7.org/fhir/R4/capabilitystatement.html, https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from fhir_server.kernel import json
from fhir_server.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Operation:
    """`on` is a type, `Resource` for every type, or empty for the system."""

    name: str
    on: str

    @property
    def id(self) -> str:
        return f"{self.on or 'System'}-{self.name}"


@dataclass(frozen=True, slots=True)
class Offer:
    """`types` are served alike, by the `interactions`. `search`: type -> what there is to be told of searching it.

    `system`: interactions of the whole.

    `oauth` maps `authorize`, `token` and the like to their URLs. `delete_several`: may a conditional delete delete
    several resources?
    """

    base: str
    version: str
    date: str
    types: Collection[str]
    search: Callable[[str], Json]
    interactions: Collection[str]
    system: Collection[str]
    operations: Collection[Operation]
    delete_several: bool
    oauth: Mapping[str, str]


PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json", "application/merge-patch+json")

_TYPE_ORDER = (
    *("read", "vread", "update", "patch", "delete", "history-instance"),
    *("history-type", "create", "search-type"),
)
_SYSTEM_ORDER = ("transaction", "batch", "search-system", "history-system")
_ADDED_TO = frozenset({"read", "vread", "history-instance", "history-type", "create", "search-type"})
"""Of the log: nothing in it is ever changed."""
_LOG = "AuditEvent"

_NORMATIVE = frozenset(
    {
        *("Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition"),
        *("OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet"),
    }
)
"""The resource types whose definitions are normative in R4; the others are for trial use."""

_OF_R4 = frozenset(
    {
        *("CapabilityStatement-conforms", "CapabilityStatement-implements", "CapabilityStatement-subset"),
        *("CapabilityStatement-versions", "ChargeItemDefinition-apply", "Claim-submit", "CodeSystem-find-matches"),
        *("CodeSystem-lookup", "CodeSystem-subsumes", "CodeSystem-validate-code", "Composition-document"),
        *("ConceptMap-closure", "ConceptMap-translate", "Consent-apply", "CoverageEligibilityRequest-submit"),
        *("Encounter-everything", "Group-everything", "List-find", "Measure-care-gaps", "Measure-collect-data"),
        *("Measure-data-requirements", "Measure-evaluate-measure", "Measure-submit-data"),
        *("MedicinalProduct-everything", "MessageHeader-process-message", "NamingSystem-preferred-id"),
        *("Observation-lastn", "Observation-stats", "Patient-everything", "Patient-match", "PlanDefinition-apply"),
        *("PlanDefinition-data-requirements", "Resource-convert", "Resource-graph", "Resource-graphql"),
        *("Resource-meta", "Resource-meta-add", "Resource-meta-delete", "Resource-validate"),
        *("StructureDefinition-questionnaire", "StructureDefinition-snapshot", "StructureMap-transform"),
        *("ValueSet-expand", "ValueSet-validate-code"),
    }
)
"""The operations that R4 itself defines, by the id of their definition."""

_BULK_DATA = "http://hl7.org/fhir/uv/bulkdata/"
_OF_BULK_DATA: Mapping[str, str] = {
    "System-export": "export",
    "Patient-export": "patient-export",
    "Group-export": "group-export",
}
"""The operations of Bulk Data Access 2.0, by our id: the id of their definition."""

_OF_GUIDES: Mapping[str, str] = {"Patient-summary": "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"}
"""Operations that another guide defines (R-IPS-001)."""


def statements(offer: Offer) -> Mapping[str, bytes]:
    """What `metadata` answers, by mode: all of it, the normative part of it, or its terminology service."""
    normative = replace(offer, types=[type for type in offer.types if type in _NORMATIVE])
    return {
        "full": json.encode(capability_statement(offer)),
        "normative": json.encode(capability_statement(normative)),
        "terminology": json.encode(_terminology(offer)),
    }


def capability_statement(offer: Offer) -> Json:
    rest: Json = {
        "mode": "server",
        "security": _security(offer.oauth),
        "resource": [_resource(offer, type) for type in sorted(offer.types)],
        "interaction": [{"code": code} for code in _SYSTEM_ORDER if code in offer.system],
    }
    if of_system := _operations(offer, ""):
        rest["operation"] = of_system
    return {
        "resourceType": "CapabilityStatement",
        **_about(offer),
        **({"instantiates": [f"{_BULK_DATA}CapabilityStatement/bulk-data"]} if _exports(offer) else {}),
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": list(PATCH_FORMATS),
        "rest": [rest],
    }


def _exports(offer: Offer) -> bool:
    """R-BULK-034."""
    return any(each.id in _OF_BULK_DATA for each in offer.operations)


def _about(offer: Offer) -> Json:
    return {
        "status": "active",
        "date": offer.date,
        "kind": "instance",
        "software": {"name": "aesthetic-fhir-server", "version": offer.version},
        "implementation": {"description": "FHIR server of an aesthetic clinic", "url": offer.base},
    }


def _terminology(offer: Offer) -> Json:
    """There is no terminology service: no code system is named, and no operation on one."""
    return {"resourceType": "TerminologyCapabilities", **_about(offer)}


def _security(oauth: Mapping[str, str]) -> Json:
    """R-SMART-010, -011: the extension is deprecated, and all that some clients know."""
    uris = [{"url": name, "valueUri": url} for name, url in oauth.items()]
    return {
        "extension": [
            {"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}
        ],
        "cors": True,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                        "display": "SMART-on-FHIR",
                    }
                ],
                "text": "OAuth 2 with SMART App Launch 2.2",
            }
        ],
        "description": "A bearer token with SMART v1 or v2 scopes (RFC 6750) on every call but this.",
    }


def _resource(offer: Offer, type: str) -> Json:
    log = type == _LOG
    served = [code for code in _TYPE_ORDER if code in offer.interactions and (not log or code in _ADDED_TO)]
    described: Json = {
        "type": type,
        "interaction": [{"code": code} for code in served],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": not log,
        "conditionalCreate": not log,
        "conditionalRead": "full-support",
        "conditionalUpdate": not log,
        "conditionalDelete": "not-supported" if log else "multiple" if offer.delete_several else "single",
        "referencePolicy": ["literal", "local"],
        **offer.search(type),
    }
    if found := _operations(offer, "Resource", type):
        described["operation"] = found
    return described


def _operations(offer: Offer, *on: str) -> list[Json]:
    return [
        {"name": name, "definition": _definition(each)}
        for each in sorted(offer.operations, key=lambda each: each.name)
        if each.on in on
        for name in _names(each)
    ]


def _names(operation: Operation) -> tuple[str, ...]:
    """R-BULK-035: clients look for an export by its code, or by the id of its definition."""
    found = _OF_BULK_DATA.get(operation.id)
    return (operation.name,) if found in {None, operation.name} else (operation.name, str(found))


def _definition(operation: Operation) -> str:
    if operation.id in _OF_R4:
        return f"http://hl7.org/fhir/OperationDefinition/{operation.id}"
    if found := _OF_BULK_DATA.get(operation.id):
        return f"{_BULK_DATA}OperationDefinition/{found}"
    return _OF_GUIDES.get(operation.id, f"urn:aesthetic-fhir-server:operation:{operation.id}")
