"""Compiles what is true or false of an item: the criteria of `where()`, and whole boolean expressions.

Three-valued, as FHIRPath wants it: None stands for the empty collection.
http://hl7.org/fhirpath/N1/#boolean-logic
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from fhir_server.fhir.fhirpath.hierarchy import is_a
from fhir_server.fhir.fhirpath.lane import Lane, item_type
from fhir_server.fhir.fhirpath.reference_type import reference_type
from fhir_server.fhir.fhirpath.syntax import And, Equal, Function, Is, Literal, Node, PathError
from fhir_server.kernel.json import Json

Criterion: TypeAlias = Callable[[Any, Json], bool | None]
"""An item and the resource that holds it -> true, false or empty."""

Lanes: TypeAlias = Callable[[Node, str], tuple[Lane, ...]]
"""Compiles a path that starts at an item of the named type; the compiler hands itself in."""


def is_criterion(node: Node) -> bool:
    return isinstance(node, And | Equal | Is) or (
        isinstance(node, Function) and node.name in {"exists", "hasExtension"}
    )


def criterion(node: Node, type_name: str, lanes: Lanes) -> Criterion:
    """What `node` says about an item of `type_name`. Raises PathError for what is not a criterion."""
    if isinstance(node, And):
        return _both(criterion(node.left, type_name, lanes), criterion(node.right, type_name, lanes))
    if isinstance(node, Equal):
        return _equal(_values(node.left, type_name, lanes), _values(node.right, type_name, lanes), negated=node.negated)
    if isinstance(node, Is):
        return _is(node, type_name, lanes)
    if isinstance(node, Function) and node.name == "exists" and not node.arguments and node.source is not None:
        values = _values(node.source, type_name, lanes)
        return lambda item, root: bool(values(item, root))
    if isinstance(node, Function) and node.name == "hasExtension":
        extensions = _values(Function("extension", node.arguments, node.source), type_name, lanes)
        return lambda item, root: bool(extensions(item, root))
    raise PathError("A criterion here is =, !=, and, is, exists() or hasExtension().")


def _both(left: Criterion, right: Criterion) -> Criterion:
    def evaluate(item: object, root: Json) -> bool | None:
        first, second = left(item, root), right(item, root)
        if first is False or second is False:
            return False
        return None if first is None or second is None else True

    return evaluate


def _values(node: Node, type_name: str, lanes: Lanes) -> Callable[[Any, Json], list[Any]]:
    if isinstance(node, Literal):
        constant = [node.value]
        return lambda _item, _root: constant
    compiled = lanes(node, type_name)
    return lambda item, root: [found for lane in compiled for found in lane.items(item, root)]


def _equal(
    left: Callable[[Any, Json], list[Any]], right: Callable[[Any, Json], list[Any]], *, negated: bool
) -> Criterion:
    def evaluate(item: object, root: Json) -> bool | None:
        first, second = left(item, root), right(item, root)
        if not first or not second:
            return None
        same = len(first) == len(second) and all(map(_same, first, second))
        return same is not negated

    return evaluate


def _same(left: object, right: object) -> bool:
    """Equal and of one kind: in Python True is 1, in FHIRPath it is not."""
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _is(node: Is, type_name: str, lanes: Lanes) -> Criterion:
    source = node.source
    if isinstance(source, Function) and source.name == "resolve":
        references = (
            _values(source.source, type_name, lanes) if source.source is not None else (lambda item, _root: [item])
        )

        def points(item: object, root: Json) -> bool | None:
            kinds = [kind for found in references(item, root) if (kind := reference_type(found, root)) is not None]
            return _all_or_empty([is_a(kind, node.type) for kind in kinds])

        return points
    compiled = lanes(source, type_name)

    def holds(item: object, root: Json) -> bool | None:
        return _all_or_empty(
            [is_a(item_type(lane.type, found), node.type) for lane in compiled for found in lane.items(item, root)]
        )

    return holds


def _all_or_empty(answers: list[bool]) -> bool | None:
    return all(answers) if answers else None
