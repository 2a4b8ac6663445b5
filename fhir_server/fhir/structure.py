"""The opinion of fhir.resources' models on a resource's structure, in FHIR's words.

The models are of R4B 4.3.0; `fhir.definitions.served_types` names the types for which that is no difference.
https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Iterator, Sequence
from functools import cache

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel, ValidationError

from fhir_server.fhir.elements import Element, children
from fhir_server.kernel.errors import Issue
from fhir_server.kernel.json import Json

_SAYS = {
    "missing": ("required", "This element is required."),
    "model_field_validation.missing": ("required", "This element is required."),
    "extra_forbidden": ("structure", "The type has no such element."),
    "model_validation_format": ("structure", "An object of another type is expected here."),
    "list_type": ("structure", "An array is expected here."),
}
_OTHERWISE = ("value", "Not a valid value of this element.")
_NARROWER = ("uuid_version", "uuid_parsing", "uuid_type")
"""The models take a uuid of version 4 alone; R4 takes any."""


def structure_issues(resource: Json) -> list[Issue]:
    """What the model of the resource's type refuses; empty when it accepts."""
    name = resource["resourceType"]
    try:
        _model(name).model_validate(resource)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        return [_issue(name, each["type"], each["loc"]) for each in details if not _is_gap(each["type"], each["loc"])]
    except KeyError:
        return [Issue("structure", "A contained resource is of a type that the models do not have.", name)]
    return []


@cache
def _model(name: str) -> type[BaseModel]:
    """Importing a model takes 10 to 100 ms, so it waits for the first resource of its type."""
    return get_fhir_model_class(name)


def _is_gap(kind: str, location: Sequence[int | str]) -> bool:
    """Refused by the models, valid in R4: a Meta where any type may stand, and uuids."""
    return kind in _NARROWER or (kind == "extra_forbidden" and str(location[-1]).endswith("Meta"))


def _issue(name: str, kind: str, location: Sequence[int | str]) -> Issue:
    """Built from the kind alone: pydantic's own messages quote the input."""
    code, says = _SAYS.get(kind, _OTHERWISE)
    return Issue(code, says, "".join(_steps(name, location)))


def _steps(name: str, location: Sequence[int | str]) -> Iterator[str]:
    """The location as FHIRPath, up to the first name that is not R4's: that one is the client's."""
    yield name
    for step in location:
        if isinstance(step, int):
            yield f"[{step}]"
        elif found := _child(name, step.removeprefix("_")):
            path, element = found
            name = element.type
            yield f".{path}"
        else:
            return


def _child(name: str, json_name: str) -> tuple[str, Element] | None:
    for path, elements in children(name).items():
        for element in elements:
            if element.json_name == json_name:
                return path, element
    return None
