"""Real resources with one fault each, and what a validator should say to it: worked out from the definitions alone."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.fhir.data import read
from fhir_server.kernel.json import Json

MARK = "Hilda"
"""Stands in what is put in, so that one can see that no issue quotes it."""

_UNFIT: dict[str, list[Any]] = {
    "base64Binary": [MARK + "!", "QQ=", 5],
    "boolean": ["true", 1, MARK],
    "canonical": [f"{MARK} x", 5],
    "code": [f" {MARK}", f"{MARK}  x", 5, True],
    "date": ["2020-13-01", "2021-02-29", "01/02/2020", "2020-01-01T00:00:00Z", 2020, MARK],
    "dateTime": ["2020-02-30", "2020-01-01T10:00:00", "2020-01-01T10:00Z", "2020-1-1", 2020, MARK],
    "decimal": ["1.0", True, MARK],
    "id": [f"{MARK}_x", "x" * 65, 5],
    "instant": ["2020-01-01", "2020-01-01T10:00:00", "2020-01-01T24:00:00Z", 5, MARK],
    "integer": [Decimal("1.0"), 2**31, "1", True],
    "markdown": [5, f"{MARK}\x00", True],
    "oid": ["1.2.3", MARK],
    "positiveInt": [0, -1, Decimal("1.5"), "1"],
    "string": [5, True, Decimal("1.5"), f"{MARK}\x00"],
    "time": ["25:00:00", "10:00", MARK],
    "unsignedInt": [-1, Decimal("0.5"), "1"],
    "uri": [f"{MARK} x", 5],
    "url": [f"{MARK} x", 5],
    "uuid": ["urn:uuid:1", MARK],
    "xhtml": [MARK, f"<p>{MARK}</p>", f'<div xmlns="http://www.w3.org/1999/xhtml"><script>{MARK}</script></div>'],
}
_FIT: dict[str, Any] = {
    "boolean": True,
    "CodeableConcept": {"text": "x"},
    "dateTime": "2020",
    "date": "2020-01-02",
    "decimal": 1,
    "integer": 1,
    "Period": {"start": "2020"},
    "Quantity": {"value": 1},
    "Reference": {"display": "x"},
    "string": "x",
    "uri": "urn:x",
}
"""A valid value of some types, to be a second one where a choice has its own already."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One property in a resource. `steps` lead to the object that holds it, `above` is that object's FHIRPath."""

    steps: tuple[str | int, ...]
    above: str
    holder: str
    path: str
    name: str
    type: str
    element: Json

    @property
    def place(self) -> str:
        return f"{self.above}.{self.path}"

    @property
    def many(self) -> bool:
        return bool(self.element.get("max") == "*")

    @property
    def first(self) -> str:
        """The place of the property's first value."""
        return f"{self.place}[0]" if self.many else self.place


@dataclass(frozen=True, slots=True)
class Mutation:
    """`edit` changes the holder in place. `code` and `place` of the issue that it asks for."""

    label: str
    spot: Spot
    edit: Callable[[Json], object]
    code: str
    place: str

    def of(self, resource: Json) -> Json:
        """The resource with the fault in it; what is not on the way to it is shared."""
        node: Any = copy(resource)
        root: Json = node
        for step in self.spot.steps:
            node[step] = copy(node[step])
            node = node[step]
        self.edit(node)
        return root


def definitions(type_name: str) -> dict[str, tuple[str, Json]]:
    """Element, with its `[x]` -> the type that defines it, and what that says."""
    definition = read("types")[type_name]
    base = definitions(definition["base"]) if "base" in definition else {}
    return {**base, **{name: (type_name, each) for name, each in definition.get("elements", {}).items()}}


def _plain(type_name: str) -> str:
    definition = read("types")[type_name]
    return str(definition["base"]) if definition["kind"] == "profile" else type_name


def _properties(type_name: str) -> dict[str, tuple[str, str, str, Json]]:
    """JSON property -> its FHIRPath name, the type that defines it, its own type, its definition."""
    found = {}
    for name, (owner, element) in definitions(type_name).items():
        for each in element["type"]:
            path = name.removesuffix("[x]")
            suffix = _plain(each)[0].upper() + _plain(each)[1:] if name.endswith("[x]") else ""
            found[path + suffix] = (path, owner, each, element)
    return found


def spots(resource: Json) -> Iterator[Spot]:
    """Every property of the resource that has a value, from the top down."""
    yield from _spots(resource, resource["resourceType"], (), resource["resourceType"])


def _spots(node: Json, type_name: str, steps: tuple[str | int, ...], above: str) -> Iterator[Spot]:
    known = _properties(type_name)
    for name, value in node.items():
        if name not in known:
            continue
        path, owner, own, element = known[name]
        yield Spot(steps, above, owner, path, name, own, element)
        if read("types")[own]["kind"] == "primitive-type":
            continue
        members: Iterable[tuple[tuple[str | int, ...], str, Any]] = (
            [((name, at), f"[{at}]", each) for at, each in enumerate(value)]
            if isinstance(value, list)
            else [((name,), "", value)]
        )
        for more, index, member in members:
            inner = member["resourceType"] if own == "Resource" else _plain(own)
            yield from _spots(member, inner, (*steps, *more), f"{above}.{path}{index}")


def mutations(resource: Json, spot: Spot) -> Iterator[Mutation]:
    """Every fault that can be put there."""
    node: Any = resource
    for step in spot.steps:
        node = node[step]
    yield from _any(spot, node[spot.name], others=len(node) > 1)
    if read("types")[spot.type]["kind"] == "primitive-type":
        yield from _primitive(spot)
    else:
        yield from _complex(spot, node[spot.name])


def _setting(spot: Spot, value: Any) -> Callable[[Json], object]:
    return lambda holder: holder.__setitem__(spot.name, value)


def _adding(more: Json) -> Callable[[Json], object]:
    return lambda holder: holder.update(more)


def _member(spot: Spot, value: Any) -> Callable[[Json], object]:
    """The value takes the place of the property's first one, or of its only one."""
    return lambda holder: holder.__setitem__(spot.name, [value, *holder[spot.name][1:]] if spot.many else value)


def _any(spot: Spot, value: Any, *, others: bool) -> Iterator[Mutation]:
    yield Mutation("null", spot, _setting(spot, None), "structure", spot.place)
    yield Mutation("an empty array", spot, _setting(spot, []), "structure", spot.place)
    yield Mutation("an unknown element", spot, lambda holder: holder.update({MARK: 1}), "structure", spot.above)
    other_case = spot.name[0].upper() + spot.name[1:]
    if not spot.element.get("min"):
        yield Mutation(
            "another case",
            spot,
            lambda holder: holder.update({other_case: holder.pop(spot.name)}),
            "structure",
            spot.above,
        )
    if spot.many:
        yield Mutation("no array", spot, _setting(spot, value[0]), "structure", spot.place)
        yield Mutation("an array in the array", spot, _member(spot, [value[0]]), "structure", spot.first)
    else:
        yield Mutation("an array", spot, _setting(spot, [value]), "structure", spot.place)
    if spot.element.get("min") and others:
        yield Mutation("nothing", spot, lambda holder: holder.pop(spot.name), "required", spot.place)
    if spot.name != spot.path:
        yield from _another_choice(spot)


def _another_choice(spot: Spot) -> Iterator[Mutation]:
    others = [each for each in spot.element["type"] if each != spot.type and each in _FIT]
    for each in others[:1]:
        more = {spot.path + each[0].upper() + each[1:]: _FIT[each]}
        yield Mutation("two of a choice", spot, _adding(more), "structure", spot.place)


def _primitive(spot: Spot) -> Iterator[Mutation]:
    yield Mutation("an object", spot, _member(spot, {"value": MARK}), "structure", spot.first)
    yield Mutation("an empty string", spot, _member(spot, ""), "structure", spot.first)
    if "binding" in spot.element and read("value_sets")[spot.element["binding"]] is not None:
        yield Mutation("a code that is not in the set", spot, _member(spot, MARK), "code-invalid", spot.first)
        return
    if spot.type == "code" and "binding" in spot.element:
        return
    for value in _UNFIT[spot.type]:
        yield Mutation(
            f"{value!r} for a {spot.type}",
            spot,
            _member(spot, value),
            "invalid" if spot.type == "xhtml" else "value",
            spot.first,
        )
    if "bare" not in spot.element:
        yield from _shadow(spot)


def _shadow(spot: Spot) -> Iterator[Mutation]:
    name = f"_{spot.name}"

    def beside(value: Any) -> Callable[[Json], object]:
        many = [value] if spot.many else value
        return lambda holder: holder.update(
            {spot.name: holder[spot.name][:1] if spot.many else holder[spot.name], name: many}
        )

    without = {"extension": [{"url": "urn:x"}]}
    yield Mutation("an empty object beside", spot, beside({}), "invariant", spot.first)
    yield Mutation(
        "an extension without a value beside", spot, beside(without), "invariant", f"{spot.first}.extension[0]"
    )
    yield Mutation("a string beside", spot, beside(MARK), "structure", spot.first)
    unknown = {"id": "1", MARK: 1}
    yield Mutation("an unknown element beside", spot, beside(unknown), "structure", spot.first)


def _complex(spot: Spot, value: Any) -> Iterator[Mutation]:
    first: Json = value[0] if spot.many else value
    yield Mutation("a string", spot, _member(spot, MARK), "structure", spot.first)
    yield Mutation("a number", spot, _member(spot, 5), "structure", spot.first)
    empty = "structure" if spot.type == "Resource" else "invariant"
    yield Mutation("an empty object", spot, _member(spot, {}), empty, spot.first)
    if spot.type == "Reference" and "targets" in spot.element and "reference" in first:
        wrong = "Slot" if "Slot" not in spot.element["targets"] else "Account"
        points = {"reference": f"{wrong}/{MARK}"}
        yield Mutation("another target", spot, _member(spot, points), "value", f"{spot.first}.reference")
        badly = {"reference": f"{MARK} x"}
        yield Mutation("no reference", spot, _member(spot, badly), "value", f"{spot.first}.reference")
    if spot.type == "Reference":
        nowhere = {"reference": f"#{MARK}"}
        yield Mutation("no such contained", spot, _member(spot, nowhere), "invariant", f"{spot.first}.reference")
    if spot.type == "Extension":
        yield Mutation("no value", spot, _member(spot, {"url": "urn:x"}), "invariant", spot.first)
        both = {"url": "urn:x", "valueCode": "x", "extension": [{"url": "y", "valueCode": "x"}]}
        yield Mutation("value and extensions", spot, _member(spot, both), "invariant", spot.first)
        yield Mutation("no url", spot, _member(spot, {"valueCode": "x"}), "required", f"{spot.first}.url")
        unknown = {"url": "urn:x", f"value{MARK}": 1}
        yield Mutation("a value of no type", spot, _member(spot, unknown), "structure", spot.first)
    if spot.type == "CodeableConcept" and "binding" in spot.element and read("value_sets")[spot.element["binding"]]:
        other = {"coding": [{"system": "urn:x", "code": MARK}]}
        yield Mutation("no coding of the set", spot, _member(spot, other), "code-invalid", spot.first)
