"""Entries of a transaction that may be sent again and again, and the Bundle of them.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update. A resource that names only what changed bears SUBSETTED, so
that no server takes it for the whole one: the runtime joins it to the one that is there.
"""

from collections.abc import Iterable

from mappers.mapping.identifiers import criteria, full_url
from mappers.mapping.json_text import Json

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def once(resource: Json) -> Json:
    """Created if nothing has its first identifier, else left as it is."""
    by = resource["identifier"][0]
    return {
        "fullUrl": full_url(resource["resourceType"], by["system"], by["value"]),
        "resource": resource,
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": criteria(by["system"], by["value"]),
        },
    }


def kept(resource: Json) -> Json:
    """Created, or made like this, by its first identifier."""
    by = resource["identifier"][0]
    type = resource["resourceType"]
    return {
        "fullUrl": full_url(type, by["system"], by["value"]),
        "resource": resource,
        "request": {"method": "PUT", "url": f"{type}?{criteria(by['system'], by['value'])}"},
    }


def changed(part: Json) -> Json:
    """Only these elements, of one that must be there."""
    return kept({**part, "meta": {"tag": [SUBSETTED]}})


def under(id: str, resource: Json) -> Json:
    type = resource["resourceType"]
    return {"resource": {**resource, "id": id}, "request": {"method": "PUT", "url": f"{type}/{id}"}}


def transaction(entries: Iterable[Json]) -> Json:
    """Each fullUrl once: the first stands."""
    found: list[Json] = []
    seen: set[str] = set()
    for entry in entries:
        url = entry.get("fullUrl")
        if url is None or url not in seen:
            found.append(entry)
        if url is not None:
            seen.add(url)
    return {"resourceType": "Bundle", "type": "transaction", "entry": found} if found else EMPTY


EMPTY: Json = {"resourceType": "Bundle", "type": "transaction"}
