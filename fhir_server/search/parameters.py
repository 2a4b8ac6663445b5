"""The search parameters of a resource type, compiled: where their values lie and under which name they are indexed.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType

from fhir_server.fhir.definitions import SearchParameter
from fhir_server.fhir.fhirpath import Lane, compile_path
from fhir_server.search.hierarchies import hierarchies
from fhir_server.search.kinds import KINDS
from fhir_server.search.sharing import served_by
from fhir_server.search.sources import Source, composite_sources, plain_sources, readable
from fhir_server.search.types.kind import Asked, Kind

ADDRESS = frozenset({"_id", "_lastUpdated"})
"""Answered from the address of a stored resource, which is in clear: no values, no tokens."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of one type.

    `types` are the FHIR types of its values, `indexed_as` the codes under which its keywords are stored (`family` is
    found through `name`). `single`: a resource has at most one value. `modifiers`: those that it has, target types of a
    reference among them. `components`: the parameters that the parts of a composite are.
    """

    definition: SearchParameter
    kind: Kind
    types: frozenset[str]
    sources: tuple[Source, ...]
    indexed_as: tuple[str, ...]
    single: bool
    modifiers: frozenset[str]
    components: "tuple[Parameter, ...]" = ()

    def asked(self, base: str, zone: tzinfo | None, modifier: str = "") -> Asked:
        """What `kind.parse` needs to know about an alternative of a query value, whose text is still to be put in."""
        return Asked(
            self.definition.code,
            "",
            modifier,
            self.types,
            tuple(sorted(self.definition.targets)),
            base,
            zone,
            tuple((part.kind.parse, part.asked(base, zone)) for part in self.components),
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """All of one type. `by_property` and `indexed` list sources by the top-level property that they begin with."""

    by_code: Mapping[str, Parameter]
    by_property: Mapping[str, tuple[Source, ...]]
    indexed: Mapping[str, tuple[Source, ...]]


def compiled(
    type_name: str, definitions: Mapping[str, SearchParameter], own: Mapping[str, SearchParameter]
) -> Parameters:
    """Those whose kind is spoken here; others are simply not among them. Raises PathError for a wrong expression.

    `own`: what a clinic adds. It may be served by what R4 defines, and never the other way round: adding a parameter
    changes nothing for the others.
    """
    known = {code: each for code, each in {**definitions, **own}.items() if each.kind in KINDS}
    simple = {code: each for code, each in known.items() if not each.components}
    lanes = {
        code: readable(KINDS[each.kind], compile_path(each.expression, type_name)) for code, each in simple.items()
    }
    shared = served_by({code: (known[code].kind, found) for code, found in lanes.items()}, own.keys())
    by_code = {code: _simple(each, lanes[code], shared[code]) for code, each in simple.items()}
    composites = {
        code: _composite(each, type_name, tuple(by_code[part.code] for part in each.components))
        for code, each in known.items()
        if each.components
    }
    searched = [each for code, each in (by_code | composites).items() if code not in ADDRESS]
    return Parameters(
        MappingProxyType(by_code | composites),
        _by_property(source for each in searched for source in each.sources),
        _by_property(
            source for each in searched if each.indexed_as == (each.definition.code,) for source in each.sources
        ),
    )


def _simple(definition: SearchParameter, lanes: tuple[Lane, ...], indexed_as: tuple[str, ...]) -> Parameter:
    kind = KINDS[definition.kind]
    types = frozenset(lane.type for lane in lanes)
    return Parameter(
        definition,
        kind,
        types,
        plain_sources(definition.code, kind, lanes),
        indexed_as,
        single=len({lane.elements for lane in lanes}) == 1 and not any(lane.many for lane in lanes),
        modifiers=_modifiers(definition, kind, types),
    )


def _composite(definition: SearchParameter, type_name: str, components: tuple[Parameter, ...]) -> Parameter:
    parts = tuple(
        (component.kind, part.expression) for component, part in zip(components, definition.components, strict=True)
    )
    return Parameter(
        definition,
        KINDS[definition.kind],
        frozenset(),
        composite_sources(definition.code, compile_path(definition.expression, type_name), parts),
        indexed_as=(),
        single=False,
        modifiers=frozenset({"missing"}),
        components=components,
    )


def _modifiers(definition: SearchParameter, kind: Kind, types: frozenset[str]) -> frozenset[str]:
    if definition.code in ADDRESS:
        return frozenset({"not"}) if kind.negatable else frozenset()
    own = {modifier for modifier, needed in kind.modifiers.items() if not needed or needed & types}
    negated = {"not"} if kind.negatable else set()
    # R4 lists every type where a reference may name any; only a Reference says which one it names.
    targets = definition.targets if kind.name == "reference" else frozenset()
    sides = {"above", "below"} if "Reference" in types and hierarchies(targets) else set()
    return frozenset({"missing"} | own | negated | sides | targets)


def _by_property(sources: Iterable[Source]) -> Mapping[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for source in sources:
        found[source.property] = (*found.get(source.property, ()), source)
    return MappingProxyType(found)
