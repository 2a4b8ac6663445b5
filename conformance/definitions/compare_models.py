"""Finds the R4 resource types whose R4B models would refuse a valid R4 instance: `compare_models.py FOLDER`.

R4 4.0.1 is what the server speaks, `fhir.resources` has models of R4B 4.3.0. A type is served when, for it and all that
it is made of, the models know each R4 element, under the same type, repeating alike, and require no more than R4 does.
What the models have beyond R4 does no harm: validation refuses elements that the R4 definitions do not know.
https://hl7.org/fhir/R4B/diff.html
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from compact_r4 import write
from fhir.resources.R4B import get_fhir_model_class
from fhir_core.constraints import FHIR_PRIMITIVES_MAPS

from fhir_server.fhir.data import read
from fhir_server.fhir.elements import CHOICE, Element, children
from fhir_server.kernel.json import Json

NO_META = re.compile(r"R4B has no (Extension|ElementDefinition)\..*Meta")
"""A value of type Meta, where any type may stand, is valid in R4 and R4B, and merely missing from the models."""

Field = tuple[str, bool, bool, bool]
"""Type name, repeats, required, one of the types of a choice."""


@cache
def model_fields(model: str) -> dict[str, Field]:
    """JSON property -> what the model makes of it; a nested model is named `models` by its class."""
    found: dict[str, Field] = {}
    fields: dict[str, Any] = get_fhir_model_class(model).model_fields
    for name, field in fields.items():
        if name.endswith("__ext") or name == "fhir_comments":
            continue
        extra: Json = field.json_schema_extra or {}
        required = field.is_required() or bool(extra.get("element_required") or extra.get("one_of_many_required"))
        found[field.alias or name] = (*_unwrap(field.annotation), required, "one_of_many" in extra)
    return found


def _unwrap(annotation: Any) -> tuple[str, bool]:  # noqa: ANN401  an annotation is any object
    """`Optional[List[Annotated[str, Code()]]]` is ("code", True); a nested model is its class's name without `Type`."""
    if annotation in FHIR_PRIMITIVES_MAPS:
        return str(FHIR_PRIMITIVES_MAPS[annotation]), False
    inner = [each for each in get_args(annotation) if each is not NoneType]
    if inner:
        name, many = _unwrap(inner[0])
        return name, many or get_origin(annotation) is list
    return annotation.__name__.removesuffix("Type"), False


def differences(type_name: str, model: str, seen: set[str]) -> Iterator[str]:
    """Each way in which a valid R4 instance of the type could fail in the R4B model."""
    if type_name in seen:
        return
    seen.add(type_name)
    fields = model_fields(model)
    minimums = _minimums(type_name)
    for name, elements in children(type_name).items():
        for element in elements:
            yield from _difference(type_name, element, fields.get(element.json_name), minimums.get(name, 0), seen)
    known = {element.json_name for elements in children(type_name).values() for element in elements}
    for name, (_, _, required, choice) in fields.items():
        if required and not choice and name not in known and name != "resourceType":
            yield f"R4B requires {type_name}.{name}"


def _difference(owner: str, element: Element, field: Field | None, minimum: int, seen: set[str]) -> Iterator[str]:
    path = f"{owner}.{element.json_name}"
    if field is None:
        yield f"R4B has no {path}"
        return
    type_name, many, required, _ = field
    if many != element.many:
        yield f"{path} repeats in {'R4B' if many else 'R4'} only"
    if required and not minimum:
        yield f"R4B requires {path}"
    kind = read("types").get(element.type, {}).get("kind")
    if kind in ("primitive-type", "resource") or type_name == "ResourceModel":
        if type_name != element.type:
            yield f"{path} is a {type_name} in R4B"
    elif kind == "backbone" or type_name == element.type:
        yield from differences(element.type, type_name, seen)
    else:
        yield f"{path} is a {type_name} in R4B"


def _minimums(type_name: str) -> dict[str, int]:
    definition = read("types").get(type_name, {})
    own = {name.removesuffix(CHOICE): each.get("min", 0) for name, each in definition.get("elements", {}).items()}
    return {**(_minimums(definition["base"]) if "base" in definition else {}), **own}


def refusal(type_name: str) -> str | None:
    try:
        found = sorted({each for each in differences(type_name, type_name, set()) if not NO_META.fullmatch(each)})
    except (ValueError, ImportError):
        return "R4B has no such type"
    return "; ".join(found) or None


def main(folder: Path) -> None:
    concrete = [
        name for name, each in read("types").items() if each["kind"] == "resource" and not each.get("abstract", False)
    ]
    refused = {name: reason for name in concrete if (reason := refusal(name))}
    write(folder / "refused_types.json", refused)
    for name, reason in refused.items():
        print(f"{name}: {reason[:160]}")
    print(f"{len(concrete) - len(refused)} of {len(concrete)} types are served")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
