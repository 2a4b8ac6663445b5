"""References, chains and `_has`: what other resources decide, by looking at every one of them."""

import re
from random import Random  # noqa: TID251  seeded: a number stands for a query
from typing import Any, Protocol

from fhir_server.fhir.definitions import SearchParameter, served_types
from tests.properties.search.oracle import kinds
from tests.properties.search.oracle.meaning import Alternative, Criterion, ItemHolds, escaped
from tests.properties.search.oracle.world import World, parameters


class Asking(Protocol):
    """Whoever draws criteria."""

    world: World
    chance: Random

    def criterion(self, type: str, depth: int = ...) -> Criterion | None: ...


def to(asking: Asking, text: str, parameter: SearchParameter, modifier: str) -> Alternative | None:
    """A query value that names what a stored reference names, in one of the ways there are."""
    bare, _, version = text.partition("|")
    local = bare.removeprefix(f"{asking.world.base}/").partition("/_history/")[0]
    type, _, id = local.rpartition("/")
    if type.isalpha() and type[0].isupper():
        return _to_local(asking, type, id, parameter, modifier)
    if (
        modifier
        or not re.match(r"[A-Za-z][\w+.\-]*:\S+$", bare)
        or "/_history/" in bare
        or kinds.RESTFUL.fullmatch(bare)
    ):
        return None
    asked = version if version and asking.chance.random() < 0.5 else ""
    written = escaped(bare) + (f"\\|{escaped(asked)}" if asked else "")
    return Alternative(written, lambda each, kind, _: kinds.reference_holds(each, kind, set(), bare, asked))


def _to_local(asking: Asking, type: str, id: str, parameter: SearchParameter, modifier: str) -> Alternative | None:
    local = f"{type}/{id}"
    if modifier:
        return Alternative(asking.chance.choice([id, local]), _names({local}, asking)) if type == modifier else None
    form = asking.chance.choice(["id", "local", "absolute"])
    if form == "id":
        return Alternative(id, _names({f"{each}/{id}" for each in parameter.targets}, asking))
    written = local if form == "local" else f"{asking.world.base}/{local}"
    return Alternative(escaped(written), _names({local}, asking))


def _names(wanted: set[str], asking: Asking) -> ItemHolds:
    """Relative or under our own base."""
    both = wanted | {f"{asking.world.base}/{each}" for each in wanted}
    return lambda each, kind, _: kinds.reference_holds(each, kind, both, "", "")


def chain(asking: Asking, type: str, depth: int) -> Criterion | None:
    world, chance = asking.world, asking.chance
    codes = [code for code, each in parameters(type).items() if each.kind == "reference" and world.pool(type, code)]
    if not codes:
        return None
    code = chance.choice(codes)
    reached = {key.partition("/")[0] for each in world.by_type[type] for key in world.references(each, code)}
    here = sorted(reached & parameters(type)[code].targets & served_types())
    if not here:
        return None
    target = chance.choice(here)
    inner = asking.criterion(target, depth - 1)
    if inner is None:
        return None

    def holds(each: Any) -> bool:
        found = [world.by_key[key] for key in world.references(each, code) if key in world.by_key]
        return any(inner.holds(one) for one in found if one.key.type == target and not one.deleted)

    return Criterion(f"{code}:{target}.{inner.name}", inner.value, holds)


def has(asking: Asking, type: str, depth: int) -> Criterion | None:
    world, chance = asking.world, asking.chance
    ways = [
        (other, code)
        for other in sorted(world.by_type)
        for code, each in parameters(other).items()
        if each.kind == "reference" and type in each.targets and world.pool(other, code)
    ]
    if not ways:
        return None
    other, code = chance.choice(ways)
    inner = asking.criterion(other, depth - 1)
    if inner is None:
        return None

    def holds(each: Any) -> bool:
        return str(each.key) in world.back(other, code, inner)

    return Criterion(f"_has:{other}:{code}:{inner.name}", inner.value, holds)
