"""Our closures and an independent FHIRPath engine agree on every search parameter and every published example."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from fhirpathpy import compile as oracle_of
from fhirpathpy import evaluate
from fhirpathpy.models import models

from fhir_server.fhir.definitions import search_parameters
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.kernel.json import Json, encode
from fhir_server.search.shipped import shipped
from tests.unit.search.samples import published


@cache
def oracle(expression: str) -> Callable[..., list[Any]]:
    return oracle_of(expression, models["r4"])


def of_part(item: Json, type_name: str, expression: str, resource: Json) -> list[Any]:
    said = {"base": type_name, "expression": expression.replace(".as(", ".ofType(")}
    found: list[Any] = evaluate(item, said, {"resource": resource}, models["r4"])
    return found


def in_other_words(expression: str, type_name: str) -> str:
    """What the oracle cannot say as R4 does: `Resource.` at the start, `as` on several items, `hasExtension`."""
    said = re.sub(r"^Resource\.", f"{type_name}.", expression)
    said = re.sub(r"\(([\w.]+) as (\w+)\)", r"\1.ofType(\2)", said)
    said = re.sub(r"hasExtension\(('[^']*')\)", r"extension(\1).exists()", said)
    return said.replace(".as(", ".ofType(")


def plain(value: Any) -> Any:
    """Numbers as the oracle has them: it turns decimals into text or floats."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value if isinstance(value, bool | str) or value is None else str(float(value))


def as_set(values: list[Any]) -> set[bytes]:
    return {encode(plain(value)) for value in values}


def asked() -> Iterator[tuple[Json, str]]:
    """Those of R4, and those that this server adds."""
    for resource in published():
        type_name = resource["resourceType"]
        for parameter in (*search_parameters(type_name).values(), *shipped(type_name).values()):
            yield resource, parameter.expression


def test_the_oracle_finds_the_same_values() -> None:
    compared = 0
    for resource, expression in asked():
        if "resolve()" not in expression:
            ours = [value for _, value in compile_path(expression, resource["resourceType"])(resource)]
            theirs = oracle(in_other_words(expression, resource["resourceType"]))(resource)
            assert as_set(ours) == as_set(theirs), expression
            compared += bool(ours)

    assert compared > 2000


def test_the_oracle_finds_the_same_references_and_we_keep_those_to_the_right_type() -> None:
    criterion = re.compile(r"\.where\(resolve\(\) is (\w+)\)")
    compared = 0
    for resource, expression in asked():
        if (wanted := criterion.search(expression)) is None:
            continue
        ours = [value for _, value in compile_path(expression, resource["resourceType"])(resource)]
        theirs = oracle(in_other_words(criterion.sub("", expression), resource["resourceType"]))(resource)
        kept = [
            each for each in theirs if f"{wanted[1]}/" in each.get("reference", "") or each.get("type") == wanted[1]
        ]
        assert as_set(kept) <= as_set(ours) <= as_set(theirs), expression
        compared += bool(ours)

    assert compared > 50


def test_the_oracle_finds_the_same_parts_of_composites() -> None:
    """A part has an expression of its own, on each element that the composite yields."""
    compared = 0
    for resource in published():
        for parameter in search_parameters(resource["resourceType"]).values():
            for part in parameter.components:
                for lane in compile_path(parameter.expression, resource["resourceType"]).lanes:
                    path = compile_path(part.expression, lane.type)
                    for item in lane.items(resource, resource):
                        ours = [value for _, value in path(item, resource)]
                        theirs = of_part(item, lane.type, part.expression, resource)
                        assert as_set(ours) == as_set(theirs), f"{parameter.code}: {part.expression}"
                        compared += bool(ours)

    assert compared > 300
