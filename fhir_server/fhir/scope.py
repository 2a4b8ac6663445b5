"""What a check or an expression stands on: the resource of the item at hand, and the one that contains that.

https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from fhir_server.kernel.json import Json


class Scope(NamedTuple):
    """`%resource` and `%rootResource`; they differ in a contained resource alone."""

    resource: Json
    root: Json


Items: TypeAlias = list[Any]
"""A FHIRPath collection of JSON values. A primitive that has extensions and no value is its `_name` object."""

Expression: TypeAlias = Callable[[Items, Scope], Items]
