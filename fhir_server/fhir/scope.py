"""What a check or an expression stands on: the resource of the item at hand, and the one that contains that.

https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.json import Json

MOST_STEPS = 2_000_000
"""How many items the invariants of one resource may touch: some compare each with each. Well under a second."""


class Scope(NamedTuple):
    """`%resource` and `%rootResource`; they differ in a contained resource alone.

    `held` maps the ids of what the root contains to types, `steps` counts what is left, for all that share the
    validation. `in_transaction`: inside a Bundle that is to be processed, where a reference may be a search.
    """

    resource: Json
    root: Json
    held: Mapping[str, object]
    steps: list[int]
    in_transaction: bool = False

    @classmethod
    def of(cls, resource: Json) -> "Scope":
        return cls(resource, resource, _held(resource), [MOST_STEPS])

    def inside(self, resource: Json, *, contained: bool) -> "Scope":
        """For a resource within: only a contained one shares the `#` references of what it is in."""
        if contained:
            return self._replace(resource=resource)
        is_transaction = self.resource.get("resourceType") == "Bundle" and self.resource.get("type") == "transaction"
        return Scope(resource, resource, _held(resource), self.steps, is_transaction)

    def spend(self, steps: int) -> None:
        self.steps[0] -= steps
        if self.steps[0] < 0:
            raise TooCostlyError("The resource is too large for R4's invariants to be checked on it.")


def _held(resource: Json) -> Mapping[str, object]:
    contained = resource.get("contained")
    if not isinstance(contained, list):
        return _NOTHING
    held = (each for each in contained if isinstance(each, dict))
    return {each["id"]: each.get("resourceType") for each in held if isinstance(each.get("id"), str)}


_NOTHING: Mapping[str, object] = MappingProxyType({})


Items: TypeAlias = list[Any]
"""A FHIRPath collection of JSON values. A primitive that has extensions and no value is its `_name` object."""

Expression: TypeAlias = Callable[[Items, Scope], Items]
