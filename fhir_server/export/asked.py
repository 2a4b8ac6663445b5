"""What a bulk export is asked for: its level, its types, since when, and how much of each resource.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters; R-BULK-007 to -014.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from fhir_server.fhir.definitions import compartments, served_types
from fhir_server.fhir.primitives import FORMATS
from fhir_server.fhir.view import WHOLE, View
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

Level: TypeAlias = Literal["system", "patient", "group"]
Pairs: TypeAlias = Sequence[tuple[str, str]]

MOST_PATIENTS = 1_000
MOST_FILTERS = 50
_FORMATS = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson", "application/fhir ndjson"})
"""The last is the first in a query, where a raw `+` arrives as a space."""
_BETWEEN_FILTERS = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
_NEVER = ("includeAssociatedData", "organizeOutputBy", "allowPartialManifests")
"""Parameters of the guide that are not served."""
_VALUES = ("valueString", "valueInstant", "valueCode", "valueUri", "valueDateTime")


@dataclass(frozen=True, slots=True)
class Asked:
    """`types`, `patients`: empty for all. `filters`: type and query. `elements`: as asked, `Patient.name` or `id`.

    `ignored`: what lenient handling left out, each told in an OperationOutcome of the answer.
    """

    level: Level
    group: str = ""
    types: tuple[str, ...] = ()
    since: datetime | None = None
    filters: tuple[tuple[str, str], ...] = ()
    elements: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def possible(self) -> tuple[str, ...]:
        """The types that this level can have, in order; with `types` those of them.

        The log of accesses is exported only to who names it: each export adds to it.
        """
        named = self.types or tuple(sorted(served_types() - {"AuditEvent"}))
        if self.level == "system":
            return named
        return tuple(type for type in named if type == "Patient" or "Patient" in compartments(type))

    def view(self, type: str) -> View:
        """What is shown of a resource of this type."""
        named = [each.rpartition(".") for each in self.elements]
        mine = [name for owner, _, name in named if owner in {"", type}]
        return WHOLE.with_parameter("_elements", ",".join(mine)) if mine else WHOLE


@dataclass(frozen=True, slots=True)
class Reading:
    """`lenient` leaves out what is not known here; a value that is wrong stays wrong. `posted`: with a body."""

    now: datetime
    lenient: bool = False
    posted: bool = False


def asked(level: Level, group: str, pairs: Pairs, reading: Reading) -> Asked:
    """From the parameters of a kick-off. Raises InvalidRequestError for what is none."""
    found = Asked(level, group)
    for name, value in pairs:
        if name in _READ:
            if name == "patient" and not reading.posted:
                raise InvalidRequestError("patient is a parameter of a kick-off by POST.")
            found = _READ[name](found, value, reading)
        elif name in {"_format", "_pretty"}:
            continue
        elif reading.lenient:
            found = _ignoring(found, name)
        else:
            known = ", ".join(sorted(_READ))
            served = "is not served" if name in _NEVER else "is no parameter"
            raise InvalidRequestError(f"{_shown(name)} {served} of an export here; there are {known}.")
    strangers = {type for type, _ in found.filters} - set(found.types or served_types())
    if strangers and not reading.lenient:
        raise InvalidRequestError("_typeFilter speaks of a type that _type does not name.")
    if strangers:
        kept = tuple(each for each in found.filters if each[0] not in strangers)
        found = _ignoring(replace(found, filters=kept), "_typeFilter")
    if found.level == "system" and found.patients:
        raise InvalidRequestError("patient is a parameter of exports of patients and groups.")
    return found


def pairs_of(parameters: object) -> list[tuple[str, str]]:
    """The same from a Parameters resource. Raises InvalidRequestError where it is none."""
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise InvalidRequestError("A kick-off by POST takes a Parameters resource.")
    return list(_pairs(parameters.get("parameter", [])))


def _pairs(given: object) -> Iterator[tuple[str, str]]:
    for one in given if isinstance(given, list) else []:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise InvalidRequestError("Each entry of Parameters.parameter has a name.")
        yield name, _value(name, one)


def _value(name: str, one: Json) -> str:
    reference = one.get("valueReference")
    if isinstance(reference, dict) and isinstance(reference.get("reference"), str):
        return str(reference["reference"])
    for member in _VALUES:
        if isinstance(one.get(member), str):
            return str(one[member])
    raise InvalidRequestError(f"The parameter {_shown(name)} has no value that an export could read.")


def _types(found: Asked, value: str, reading: Reading) -> Asked:
    named = [each.strip() for each in value.split(",") if each.strip()]
    strangers = [each for each in named if each not in served_types()]
    if strangers and not reading.lenient:
        raise InvalidRequestError(f"_type names what is no served resource type: {_shown(strangers[0])}.")
    known = tuple(dict.fromkeys((*found.types, *(each for each in named if each not in strangers))))
    if not known:
        raise InvalidRequestError("_type names no served resource type.")
    return _ignoring(replace(found, types=known), "_type") if strangers else replace(found, types=known)


def _since(found: Asked, value: str, reading: Reading) -> Asked:
    if not FORMATS["instant"](value):
        raise InvalidRequestError("_since is an instant, such as 2026-03-14T09:26:53Z.")
    try:
        since = datetime.fromisoformat(value.replace("Z", "+00:00").replace(":60", ":59"))
    except ValueError:
        raise InvalidRequestError("_since names a day that no calendar has.") from None
    if since > reading.now:
        raise InvalidRequestError("_since lies in the future.")
    return replace(found, since=since)


def _filters(found: Asked, value: str, reading: Reading) -> Asked:
    filters = [*found.filters]
    for each in _BETWEEN_FILTERS.split(value):
        type, mark, query = each.partition("?")
        if type not in served_types() or not mark:
            if not reading.lenient:
                raise InvalidRequestError("_typeFilter is a search of a served type: Observation?status=final.")
            found = _ignoring(found, "_typeFilter")
            continue
        filters.append((type, query))
    if len(filters) > MOST_FILTERS:
        raise TooCostlyError(f"An export takes at most {MOST_FILTERS} type filters.")
    return replace(found, filters=tuple(filters))


def _elements(found: Asked, value: str, reading: Reading) -> Asked:
    named = tuple(each.strip() for each in value.split(",") if each.strip())
    for each in named:
        owner, _, name = each.rpartition(".")
        if owner and owner not in served_types():
            raise InvalidRequestError("_elements names root elements: Patient.name, or id for every type.")
        WHOLE.with_parameter("_elements", name)
    return replace(found, elements=(*found.elements, *named))


def _patients(found: Asked, value: str, reading: Reading) -> Asked:
    patients = [*found.patients]
    for each in value.split(","):
        key = parse_reference(each.strip())
        if key is None or key.type != "Patient":
            raise InvalidRequestError("patient is a reference such as Patient/7.")
        patients.append(key.id)
    if len(patients) > MOST_PATIENTS:
        raise TooCostlyError(f"An export names at most {MOST_PATIENTS} patients; make a Group of them.")
    return replace(found, patients=tuple(dict.fromkeys(patients)))


def _format(found: Asked, value: str, reading: Reading) -> Asked:
    if value not in _FORMATS:
        raise InvalidRequestError("_outputFormat is application/fhir+ndjson.")
    return found


def _ignoring(found: Asked, name: str) -> Asked:
    return replace(found, ignored=tuple(dict.fromkeys((*found.ignored, _shown(name)))))


def _shown(name: str) -> str:
    """A name as far as it may be repeated."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_\-]{0,63}", name) else "a parameter"


_READ: Mapping[str, Callable[[Asked, str, Reading], Asked]] = {
    "_outputFormat": _format,
    "_since": _since,
    "_type": _types,
    "_typeFilter": _filters,
    "_elements": _elements,
    "patient": _patients,
}
