"""What the two Patients say once their records are one, and once they are two again: pure.

https://hl7.org/fhir/R4/patient.html#linking. The one that is given up stays as an address: inactive, with a link to the
one that took its place.
"""

from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.conflicts import REPLACED_BY, REPLACES


def given_up(source: Json, target: ResourceKey) -> Json:
    return {**_with_link(source, target, REPLACED_BY), "active": False}


def taking_over(target: Json, source: Json, key: ResourceKey) -> Json:
    """What identified the other record goes on to identify this person, as what was once used."""
    there = {_named(one) for one in target.get("identifier", [])}
    more = [{**one, "use": "old"} for one in source.get("identifier", []) if _named(one) not in there]
    found = _with_link(target, key, REPLACES)
    return {**found, "identifier": [*target.get("identifier", []), *more]} if more else found


def restored(source: Json, was: Json | None, target: ResourceKey) -> Json:
    """`was`: what it said before, where nobody has changed it since."""
    return was if was is not None else {**_without_link(source, target), "active": True}


def letting_go(target: Json, before: Json, source: Json, key: ResourceKey) -> Json:
    """Without the link, and without the identifiers that came with it."""
    own = {_named(one) for one in before.get("identifier", [])}
    theirs = {_named(one) for one in source.get("identifier", [])} - own
    left = [one for one in target.get("identifier", []) if one.get("use") != "old" or _named(one) not in theirs]
    found = {**_without_link(target, key), "identifier": left}
    return found if left else {name: value for name, value in found.items() if name != "identifier"}


def _with_link(patient: Json, other: ResourceKey, how: str) -> Json:
    link = {"other": {"reference": str(other)}, "type": how}
    kept = [one for one in patient.get("link", []) if not _leads_to(one, other)]
    return {**patient, "link": [*kept, link]}


def _without_link(patient: Json, other: ResourceKey) -> Json:
    kept = [one for one in patient.get("link", []) if not _leads_to(one, other)]
    found = {name: value for name, value in patient.items() if name != "link"}
    return {**found, "link": kept} if kept else found


def _leads_to(link: Json, key: ResourceKey) -> bool:
    return parse_reference(str(link.get("other", {}).get("reference", ""))) == key


def _named(identifier: Json) -> tuple[object, object]:
    return identifier.get("system"), identifier.get("value")
