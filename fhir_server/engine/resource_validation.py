"""$validate: everything that is wrong with a resource, told and not raised.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from fhir_server.engine.integrity import refuse_log_change, refuse_telling_id
from fhir_server.fhir.faults import MOST_ISSUES
from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.fhir.subset import refuse_subsetted
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from fhir_server.kernel.errors import (
    InvalidRequestError,
    Issue,
    MethodNotAllowedError,
    TooCostlyError,
    UnprocessableError,
)
from fhir_server.kernel.identity import ResourceKey, is_id, parse_reference
from fhir_server.kernel.json import Json

Missing = Callable[[Collection[ResourceKey]], Awaitable[Collection[ResourceKey]]]
"""Which of these the caller would not find on this server."""

MODES = frozenset({"create", "update", "delete", "profile"})
MOST_TARGETS = 500
"""How many references are followed."""
_MOST_FOR_MODELS = 1 << 20
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class Question:
    """What the client wants to know; `resource` is None where it asks about the one that the URL names."""

    resource: Json | None
    mode: str | None = None
    profile: str | None = None


def question(
    type: str, body: object, mode: str | None = None, profile: str | None = None, *, has_id: bool = False
) -> Question:
    """From the body, the resource itself or Parameters that hold it, and from the URL's parameters.

    `has_id`: the URL names an instance. Raises InvalidRequestError where the question cannot be understood.
    """
    resource, wanted, against = body, cast("object", mode), cast("object", profile)
    if isinstance(body, dict) and _is_wrapper(type, body):
        found = dict(_parameters(body))
        resource = _value(found, "resource", "resource")
        wanted = mode or _value(found, "mode", "valueCode", "valueString")
        against = profile or _value(found, "profile", "valueUri", "valueCanonical", "valueString")
    if wanted is not None and (not isinstance(wanted, str) or wanted not in MODES):
        raise InvalidRequestError(f"$validate has the modes {', '.join(sorted(MODES))}.")
    if wanted == "profile" and (resource is not None or not has_id):
        raise InvalidRequestError("The mode profile is about a stored resource, named by its id in the URL.")
    if resource is None and not has_id:
        raise InvalidRequestError("There is no resource to validate: neither a body, nor an id in the URL.")
    if resource is not None and not isinstance(resource, dict):
        raise InvalidRequestError("The body is neither a resource nor Parameters with one.")
    if against is not None and not isinstance(against, str):
        raise InvalidRequestError("The parameter profile is not a URL.")
    return Question(resource, wanted, against)


def _is_wrapper(type: str, body: Json) -> bool:
    """Parameters are a resource as well; asked of that type they wrap only what is named resource."""
    names = {name for name, _ in _parameters(body)} if body.get("resourceType") == "Parameters" else set()
    return bool(names) and (type != "Parameters" or "resource" in names)


def _parameters(body: Json) -> Iterator[tuple[str, Json]]:
    found = body.get("parameter")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            yield each["name"], each


def _value(found: Mapping[str, Json], name: str, *properties: str) -> Any:  # noqa: ANN401  a client may send any JSON
    return next((found[name][each] for each in properties if name in found and each in found[name]), None)


async def validation_issues(asked: Question, type: str, id: str | None, missing: Missing) -> list[Issue]:
    """One for each fault and each doubt. `id` is that of the instance in the URL."""
    resource = asked.resource
    found = list(_log_change(asked, type))
    if resource is None or asked.mode == "delete":
        return found
    found += [*_wrong_target(asked, resource, type, id), *_unchecked_profiles(asked, resource, type)]
    # The models of a type are loaded when first asked, and a large Bundle takes its time: others go on meanwhile.
    found += await asyncio.to_thread(_faults, resource)
    found += await _missing(resource, missing)
    return found


def _log_change(asked: Question, type: str) -> Iterator[Issue]:
    try:
        if asked.mode in {"update", "delete"}:
            refuse_log_change(type)
    except MethodNotAllowedError as error:
        yield from error.issues


def _wrong_target(asked: Question, resource: Json, type: str, id: str | None) -> Iterator[Issue]:
    if resource.get("resourceType") != type:
        yield Issue("invalid", f"$validate was asked of {type}; the resource is of another type.", type)
    own = resource.get("id")
    if asked.mode == "update" and own is None:
        yield Issue("required", "An update needs the id.", f"{type}.id")
    elif id is not None and own is not None and own != id:
        yield Issue("invalid", "The id is another than that in the URL.", f"{type}.id")
    if asked.mode is None:
        return
    try:
        refuse_subsetted(resource)
        if asked.mode == "update" and isinstance(own, str) and is_id(own):
            refuse_telling_id(resource, own)
    except UnprocessableError as error:
        yield from error.issues


def _unchecked_profiles(asked: Question, resource: Json, type: str) -> Iterator[Issue]:
    """Only the definition of the type itself is checked; to keep still about a profile would say that it holds."""
    if asked.profile not in {None, f"{_DEFINITION}{type}", f"{_DEFINITION}{type}|4.0.1"}:
        yield Issue("not-supported", "This server does not hold the profile, so the resource was not checked on it.")
    meta = resource.get("meta")
    if isinstance(meta, dict) and "profile" in meta:
        says = "Only the definition of R4 was checked, none of the profiles that the resource claims."
        yield Issue("informational", says, f"{type}.meta.profile", "information")


def _faults(resource: Json) -> tuple[Issue, ...]:
    """The models' second opinion takes ten times as long as the definitions', so a giant is spared it."""
    try:
        validate(resource, with_models=len(json.encode(resource)) <= _MOST_FOR_MODELS)
    except (UnprocessableError, TooCostlyError) as error:
        return tuple(error.issues)
    return ()


async def _missing(resource: Json, missing: Missing) -> list[Issue]:
    """A warning for each reference to what is not here; what the resource itself brings along is here."""
    own = set(_entries(resource))
    places: dict[ResourceKey, list[str]] = {}
    for steps, text in reference_places(resource):
        key = parse_reference(text)
        if key is not None and key not in own:
            places.setdefault(key, []).append(expression_of(resource, steps))
    followed = tuple(islice(places, MOST_TARGETS))
    absent = set(await missing(followed)) if followed else set()
    said = "There is no such resource on this server, or none that you may see."
    found = [
        Issue("not-found", said, place, "warning") for key, found in places.items() if key in absent for place in found
    ][:MOST_ISSUES]
    if len(places) > len(followed):
        found.append(Issue("incomplete", f"Only {MOST_TARGETS} references were followed.", severity="information"))
    return found


def _entries(resource: Json) -> Iterator[ResourceKey]:
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    for entry in entries if isinstance(entries, list) else ():
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("id"), str):
            yield ResourceKey(str(inner.get("resourceType")), inner["id"])
