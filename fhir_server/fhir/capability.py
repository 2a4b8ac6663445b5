"""The CapabilityStatement: what is really switched on, and nothing more.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fhir_server.fhir.definitions import search_parameters
from fhir_server.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Offer:
    """`types` are served alike; `operations` maps a type to the names of its operations; `kinds` of search work.

    `delete_several`: may a conditional delete delete several resources?
    """

    base: str
    version: str
    date: str
    types: Collection[str]
    kinds: Collection[str]
    operations: Mapping[str, Collection[str]]
    delete_several: bool


_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_READ_ONLY = ("read", "search-type")


def capability_statement(offer: Offer) -> Json:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": offer.date,
        "kind": "instance",
        "software": {"name": "aesthetic-fhir-server", "version": offer.version},
        "implementation": {"description": "FHIR server of an aesthetic clinic", "url": offer.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "A bearer token with SMART v2 scopes (RFC 6750) on every call but this."},
                "resource": [_resource(offer, type) for type in sorted(offer.types)],
                "interaction": [
                    {"code": "transaction"},
                    {"code": "batch"},
                    {"code": "history-system"},
                    {"code": "search-system"},
                ],
            }
        ],
    }


def _resource(offer: Offer, type: str) -> Json:
    log = type == "AuditEvent"
    described: Json = {
        "type": type,
        "interaction": [{"code": code} for code in (_READ_ONLY if log else _INTERACTIONS)],
        "versioning": "versioned",
        "readHistory": not log,
        "updateCreate": not log,
        "conditionalCreate": not log,
        "conditionalRead": "not-match",
        "conditionalUpdate": not log,
        "conditionalDelete": "not-supported" if log else "multiple" if offer.delete_several else "single",
        "referencePolicy": ["literal", "local"],
        "searchParam": [
            {"name": parameter.code, "type": parameter.kind}
            for parameter in search_parameters(type).values()
            if parameter.kind in offer.kinds
        ],
    }
    if type in offer.operations:
        described["operation"] = [
            {"name": name, "definition": f"urn:aesthetic-fhir-server:operation:{type}-{name}"}
            for name in offer.operations[type]
        ]
    return described
