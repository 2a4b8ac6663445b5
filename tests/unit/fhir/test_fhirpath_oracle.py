"""Our closures and an independent FHIRPath engine agree on every search parameter and every published example."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from fhirpathpy import compile as oracle_of
from fhirpathpy.models import models

from fhir_server.fhir.definitions import search_parameters
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.kernel.json import Json, encode
from tests.unit.search.samples import published


@cache
def oracle(expression: str) -> Callable[..., list[Any]]:
    return oracle_of(expression, models["r4"])


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
    for resource in published():
        for parameter in search_parameters(resource["resourceType"]).values():
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
