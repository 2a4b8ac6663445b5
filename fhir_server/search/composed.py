"""A clinic's own composites: which parameters their components are, and whether the index finds all that these read.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.component. Nothing is stored for a composite:
it is found by the parameters that its components name. So each component reads only what that parameter reads as well;
else a search would find too little.
"""

from collections.abc import Mapping, Sequence

from fhir_server.fhir.definitions import Component, SearchParameter
from fhir_server.fhir.fhirpath import CompiledPath, Lane, PathError, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.kinds import KINDS
from fhir_server.search.sources import readable

SIMPLE = frozenset({"string", "token", "date", "number", "quantity", "reference", "uri"})
MOST_CHARACTERS = 1_000
"""Of an expression: whoever may store a SearchParameter decides on the work of every write and on the start."""

R4 = "http://hl7.org/fhir/SearchParameter/"
_OF_SEVERAL = frozenset({"clinical", "conformance", "individual", "medications"})
"""Before the code in the URL of a parameter that several types have; elsewhere the type stands there."""

_FEWEST, _MOST = 2, 6


class NotTakenError(ValueError):
    """Why a SearchParameter cannot take part, in words for the operator; `place` is the element at fault."""

    def __init__(self, says: str, place: str = "SearchParameter") -> None:
        super().__init__(says)
        self.place = place


Urls = Mapping[tuple[str, str], str]
"""(Type, URL of a SearchParameter) -> the code under which the type knows it."""


def expression_of(element: Json, place: str) -> str:
    expression = element.get("expression")
    if not isinstance(expression, str):
        raise NotTakenError("it has no expression", place)
    if len(expression) > MOST_CHARACTERS:
        raise NotTakenError(f"its expression is longer than {MOST_CHARACTERS} characters", f"{place}.expression")
    return expression


def components_of(resource: Json, type: str) -> list[tuple[str, str, CompiledPath]]:
    """The URL of each, its place, and where it leads from what the composite yields. Raises NotTakenError."""
    whole = _path(expression_of(resource, "SearchParameter"), type, "SearchParameter")
    if not whole.lanes:
        raise NotTakenError(f"its expression leads to nothing in a {type}", "SearchParameter.expression")
    given = resource.get("component") or []
    if not _FEWEST <= len(given) <= _MOST:
        raise NotTakenError(f"a composite has {_FEWEST} to {_MOST} components", "SearchParameter.component")
    found = []
    for number, each in enumerate(given):
        place = f"SearchParameter.component[{number}]"
        for lane in whole.lanes:
            path = _path(expression_of(each, place), lane.type, place)
            if not path.lanes:
                raise NotTakenError(f"component {number} leads to nothing in a {lane.type}", f"{place}.expression")
            found.append((str(each.get("definition", "")), place, path))
    for url, place, _ in found:
        if url.startswith(R4) and _code_of_r4(url, type) is None:
            raise NotTakenError(f"R4 has no parameter of this URL for {type}", f"{place}.definition")
    return found


def composed(code: str, resource: Json, type: str, known: Mapping[str, SearchParameter], urls: Urls) -> SearchParameter:
    """As one type has it. `known`: its parameters, a clinic's own among them. Raises NotTakenError."""
    components_of(resource, type)
    expression = str(resource["expression"])
    parts = []
    for number, each in enumerate(resource["component"]):
        place = f"SearchParameter.component[{number}]"
        url = str(each.get("definition", ""))
        part = known.get(_code_of_r4(url, type) or urls.get((type, url.partition("|")[0])) or "")
        if part is None:
            raise NotTakenError(f"component {number} names no parameter that takes part for {type}", place)
        if part.kind not in SIMPLE or part.code.startswith("_"):
            raise NotTakenError(f"component {number} names a parameter that no composite has as a part", place)
        if not _finds_all(part, expression, str(each["expression"]), type):
            raise NotTakenError(f"component {number} reads what the parameter {part.code} does not", place)
        parts.append(Component(part.code, str(each["expression"])))
    return SearchParameter(code, "composite", expression, components=tuple(parts))


def _code_of_r4(url: str, type: str) -> str | None:
    """R4 names them `Patient-birthdate`, and `clinical-code` where several types have one."""
    if not url.startswith(R4):
        return None
    owner, _, code = url.removeprefix(R4).partition("|")[0].partition("-")
    return code or None if owner == type or owner in _OF_SEVERAL else None


def _path(expression: str, type: str, place: str) -> CompiledPath:
    try:
        return compile_path(expression, type)
    except PathError as error:
        raise NotTakenError(f"its expression is not understood: {error}", f"{place}.expression") from None


def _finds_all(part: SearchParameter, whole: str, component: str, type: str) -> bool:
    """Is all that the component reads also read by the parameter, to the letter or by where it lies?

    What leaves the element that the composite yields (`%resource`) lies elsewhere than it seems.
    """
    kind = KINDS[part.kind]
    if "%" in component:
        return False
    lanes_of_part = compile_path(part.expression, type).lanes
    wide = {(lane.names, lane.type) for lane in lanes_of_part if lane.names and not lane.narrowed}
    spelt = set(_alternatives(part.expression, type))
    for alternative in _alternatives(whole, type):
        for outer in compile_path(alternative, type).lanes:
            for inner in _alternatives(component, outer.type):
                lanes = readable(kind, compile_path(inner, outer.type))
                if not lanes:
                    return False
                if f"{alternative}.{inner}" in spelt:
                    continue
                if not all(each.names and _place(outer, each) in wide for each in lanes):
                    return False
    return True


def _place(outer: Lane, inner: Lane) -> tuple[tuple[str, ...], str]:
    return (*outer.names, *inner.names), inner.type


def _alternatives(expression: str, type: str) -> Sequence[str]:
    """Those that stand between bars, where each is an expression of its own; else the whole."""
    found = [each.strip() for each in expression.split("|")]
    try:
        lanes = [lane for each in found for lane in compile_path(each, type).lanes]
    except PathError:
        return [expression.strip()]
    same = len(lanes) == len(compile_path(expression, type).lanes)
    return found if same else [expression.strip()]
