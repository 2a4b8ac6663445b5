"""Whole searches: criteria, an order, a page size, what is to come along; and what each should answer."""

from dataclasses import dataclass
from random import Random  # noqa: TID251  seeded: a number stands for a query
from typing import Any

from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import compartments
from tests.properties.search.oracle import kinds, moments
from tests.properties.search.oracle.asking import Asking
from tests.properties.search.oracle.meaning import Criterion
from tests.properties.search.oracle.world import World, parameters


@dataclass(frozen=True)
class Search:
    """`patient`: whose app asks, None for one that may see everything. `keys` of the sort are (code, descending)."""

    type: str
    criteria: tuple[Criterion, ...]
    keys: tuple[tuple[str, bool], ...]
    count: int
    include: str
    patient: str | None

    def pairs(self) -> list[tuple[str, str]]:
        found = [(each.name, each.value) for each in self.criteria]
        if self.keys:
            found.append(("_sort", ",".join(f"-{code}" if down else code for code, down in self.keys)))
        found.append(("_count", str(self.count)))
        if self.include:
            name, _, value = self.include.partition("=")
            found.append((name, value))
        return found


def search_of(world: World, seed: int) -> Search:
    """The search that a number stands for."""
    chance = Random(seed)
    asking = Asking(world, chance)
    type = chance.choice(
        sorted(world.by_type, key=lambda each: (-len(world.by_type[each]), each))[: chance.choice([3, 12, 200])]
    )
    drawn = [asking.criterion(type) for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3]))]
    found = [each for each in drawn if each is not None and len(each.value) < 4000]
    patient = None
    if "Patient" in compartments(type) and chance.random() < 0.15:
        patient = chance.choice(world.by_type["Patient"]).key.id
        found = [each for each in found if "." not in each.name and not each.name.startswith("_has")]
    return Search(
        type, tuple(found), _keys(world, chance, type), chance.choice([1, 2, 7, 20, 200, 1000]),
        "" if patient else _include(world, chance, type), patient,
    )  # fmt: skip


def _keys(world: World, chance: Random, type: str) -> tuple[tuple[str, bool], ...]:
    if chance.random() < 0.5:
        return chance.choice(
            [(), (("_lastUpdated", False),), (("_lastUpdated", True),), (("_id", False),), (("_id", True),)]
        )
    codes = [code for code, each in parameters(type).items() if each.kind != "composite" and code != "_lastUpdated"]
    filled = [code for code in codes if world.pool(type, code)] or codes
    some = chance.sample(filled, min(len(filled), chance.choice([1, 1, 2, 3])))
    return tuple((code, chance.random() < 0.5) for code in some)


def _include(world: World, chance: Random, type: str) -> str:
    references = [
        code for code, each in parameters(type).items() if each.kind == "reference" and world.pool(type, code)
    ]
    if chance.random() < 0.75 or not references:
        return ""
    return f"_include={type}:{chance.choice(references)}"


def expected(world: World, search: Search) -> list[Stored]:
    """All matches in order: every resource is looked at."""
    found = [each for each in world.by_type.get(search.type, []) if all(one.holds(each) for one in search.criteria)]
    if search.patient is not None:
        found = [each for each in found if f"Patient/{search.patient}" in each.access]
    if not search.keys or search.keys[0][0] == "_lastUpdated":
        found.sort(key=lambda each: (each.seq, str(each.key)), reverse=bool(search.keys) and search.keys[0][1])
        return found
    # Last key first: each pass keeps the order of the one before among what is alike.
    found.sort(key=lambda each: str(each.key), reverse=search.keys[0] == ("_id", True))
    for code, down in reversed(search.keys):
        with_value = [(key, each) for each in found if (key := sort_key(world, each, code, down=down)) is not None]
        without = [each for each in found if sort_key(world, each, code, down=down) is None]
        with_value.sort(key=lambda pair: pair[0], reverse=down)
        found = [each for _, each in with_value] + without
    return found


def sort_key(world: World, each: Stored, code: str, *, down: bool) -> Any:
    """Of several values the one that comes first in the direction of the sort; None without any."""
    if code == "_id":
        return each.key.id
    kind = parameters(each.key.type)[code].kind
    keys = [key for item in world.items(each, code) for key in _item_keys(kind, *item)]
    return (max if down else min)(keys) if keys else None


def _item_keys(kind: str, item: Any, type: str, owner: str) -> list[Any]:
    if kind == "date":
        found = moments.of_item(item, type)
        return [found[0]] if found else []
    if kind in {"number", "quantity"}:
        return _number_keys(kind, item, type)
    return [text[:128] for text in _texts(kind, item, type, owner) if text]


def _texts(kind: str, item: Any, type: str, owner: str) -> list[str]:
    if kind == "string":
        return [kinds.folded(text) for text, _ in kinds.texts(item, type, owner)]
    if kind == "token":
        codes = [(code, system) for system, code in kinds.codes(item, type) if code or system]
        return [f"{code.strip().casefold()}\n{system or ''}" for code, system in codes]
    if kind == "uri":
        bare, _, version = item.strip().partition("|")
        return [f"{bare}|{version}"] if item.strip() else []
    bare = kinds.referred(item, type).partition("|")[0]
    local = bare.partition("/_history/")[0]
    return ["/".join(local.split("/")[-2:]) if kinds.RESTFUL.fullmatch(local) else bare]


def _number_keys(kind: str, item: Any, type: str) -> list[Any]:
    found = kinds.bounds(item, type)
    if found is None:
        return []
    low = found[0]
    system, code, _ = kinds.unit_of(item, type) if kind == "quantity" else ("", "", "")
    if system == kinds.UNIT_SYSTEM and code in kinds.SORTED_AS and not isinstance(low, float):
        factor, zero = kinds.SORTED_AS[code]
        low = low * factor + zero
    return [low]


def included(world: World, search: Search, matches: list[Stored]) -> set[str]:
    """What the include brings along with these matches."""
    if not search.include:
        return set()
    code = search.include.rpartition(":")[2]
    found = {key for each in matches for key in world.references(each, code) if key in world.by_key}
    return found - {str(each.key) for each in matches}
