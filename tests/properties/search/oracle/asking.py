"""Queries out of the data: each as a client would write it, with its meaning as a plain predicate beside it.

The same seed gives the same query.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random  # noqa: TID251  seeded: a number stands for a query
from typing import Any

from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import SearchParameter
from tests.properties.search.oracle import kinds, links, moments, terms
from tests.properties.search.oracle.meaning import Alternative, Criterion, Holds, escaped
from tests.properties.search.oracle.world import Item, World, parameters

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


class Asking:
    """Draws criteria for resources of a type."""

    def __init__(self, world: World, chance: Random) -> None:
        self.world, self.chance = world, chance

    def criterion(self, type: str, depth: int = 2) -> Criterion | None:
        """None where the draw led to nothing that could be asked."""
        draw = self.chance.random()
        if depth and draw < 0.12:
            return links.chain(self, type, depth)
        if depth and draw < 0.22:
            return links.has(self, type, depth)
        if draw < 0.27:
            return self._ids(type)
        if draw < 0.32 and (found := terms.criterion(self, type)) is not None:
            return found
        codes = [code for code, each in parameters(type).items() if code not in {"_id", "_lastUpdated"}]
        filled = [code for code in codes if self._pool(type, code)]
        code = self.chance.choice(filled if filled and self.chance.random() < 0.9 else codes)
        return self.by(type, parameters(type)[code])

    def _ids(self, type: str) -> Criterion:
        known = [each.key.id for each in self.world.by_type.get(type, [])] or ["x"]
        some = {self.chance.choice([*known, "nobody"]) for _ in range(self.chance.randint(1, 4))}
        if self.chance.random() < 0.3:
            return Criterion("_id:not", ",".join(sorted(some)), lambda each: each.key.id not in some)
        return Criterion("_id", ",".join(sorted(some)), lambda each: each.key.id in some)

    def by(self, type: str, parameter: SearchParameter) -> Criterion | None:
        code = parameter.code
        if parameter.kind != "composite" and self.chance.random() < 0.05:
            return self._missing(parameter)
        modifier = self._modifier(type, parameter)
        count = self.chance.choice([1, 1, 1, 2, 3, 9])
        found = [self._alternative(type, parameter, modifier) for _ in range(count)]
        alternatives = [each for each in found if each is not None]
        if not alternatives:
            return None
        name = f"{code}:{modifier}" if modifier else code
        value = ",".join(each.text for each in alternatives)
        if parameter.kind == "composite":
            return Criterion(name, value, self._composite(parameter, alternatives))

        def holds(each: Stored) -> bool:
            items = self.world.items(each, code)
            met = any(one.holds(*item) for item in items for one in alternatives)
            return not met if modifier == "not" else met

        return Criterion(name, value, holds)

    def _missing(self, parameter: SearchParameter) -> Criterion:
        wanted = self.chance.random() < 0.5

        def holds(each: Stored) -> bool:
            there = any(self._is_value(parameter, *item) for item in self.world.items(each, parameter.code))
            return there is not wanted

        return Criterion(f"{parameter.code}:missing", str(wanted).lower(), holds)

    def _is_value(self, parameter: SearchParameter, item: Any, type: str, owner: str) -> bool:
        """Is it something that this kind of parameter can look at?"""
        match parameter.kind:
            case "string":
                return any(kinds.folded(text) for text, _ in kinds.texts(item, type, owner))
            case "token":
                return any(system or code for system, code in kinds.codes(item, type)) or bool(
                    list(kinds.words(item, type))
                )
            case "date":
                return moments.of_item(item, type) is not None
            case "number" | "quantity":
                return kinds.bounds(item, type) is not None
            case "reference":
                return bool(kinds.referred(item, type)) or (type == "Reference" and bool(kinds.identifier_of(item)))
            case _:
                return True

    def _modifier(self, type: str, parameter: SearchParameter) -> str:
        wanted = self.chance.random() < 0.4
        types = {kind for _, kind, _ in self._pool(type, parameter.code)}
        choices = {
            "string": ["exact", "contains"],
            "token": ["not"]
            + (["text"] if types & {"CodeableConcept", "Coding"} else [])
            + (["text", "of-type"] if "Identifier" in types else []),
            "uri": ["above", "below"],
            "reference": ["type"] + (["identifier"] if "Reference" in types else []),
        }.get(parameter.kind, [])
        found = self.chance.choice(choices) if wanted and choices else ""
        if found != "type":
            return found
        served = [each for each in sorted(parameter.targets) if each in self.world.by_type]
        return self.chance.choice(served) if served else ""

    def _pool(self, type: str, code: str) -> Sequence[Item]:
        return self.world.pool(type, code)

    def _alternative(self, type: str, parameter: SearchParameter, modifier: str) -> Alternative | None:
        pool = self._pool(type, parameter.code)
        if parameter.kind == "composite":
            return self._parts(type, parameter)
        if not pool:
            return None
        return self._of_item(type, parameter, modifier, self.chance.choice(pool))

    def _parts(self, type: str, parameter: SearchParameter) -> Alternative | None:
        drawn = self.world.composites(type, parameter.code)
        if not drawn:
            return None
        together = self.chance.choice(drawn)
        found = []
        for part, items in zip(parameter.components, together, strict=True):
            if not items:
                return None
            own = parameters(type)[part.code]
            one = self._of_item(type, own, "", self.chance.choice(items))
            if one is None:
                return None
            found.append(one)

        def holds(parts: Any, _type: str, _owner: str) -> bool:
            return all(any(one.holds(*item) for item in items) for one, items in zip(found, parts, strict=True))

        return Alternative("$".join(one.text for one in found), holds)

    def _composite(self, parameter: SearchParameter, alternatives: list[Alternative]) -> Holds:
        return lambda each: any(
            one.holds(parts, "", "") for parts in self.world.parts(each, parameter) for one in alternatives
        )

    def _of_item(self, type: str, parameter: SearchParameter, modifier: str, drawn: Item) -> Alternative | None:
        item, kind, owner = drawn
        ways: dict[str, Callable[[], Alternative | None]] = {
            "string": lambda: self._string(item, kind, owner, modifier),
            "token": lambda: self._token(item, kind, modifier, type, parameter),
            "date": lambda: self._date(item, kind),
            "number": lambda: self._quantity(item, kind, "number"),
            "quantity": lambda: self._quantity(item, kind, "quantity"),
            "reference": lambda: self._reference(item, kind, parameter, modifier),
            "uri": lambda: self._uri(item, modifier),
        }
        return ways[parameter.kind]()

    def _string(self, item: Any, kind: str, owner: str, modifier: str) -> Alternative | None:
        found = [text for text, _ in kinds.texts(item, kind, owner) if kinds.folded(text)]
        if not found:
            return None
        text = self.chance.choice(found)
        if modifier == "contains" or self.chance.random() < 0.2:
            start = self.chance.randrange(len(text))
            text = text[start : start + self.chance.randint(1, 8)]
        elif modifier != "exact" or self.chance.random() < 0.3:
            text = text[: self.chance.randint(1, len(text))]
        text = self.chance.choice([text, text.upper(), text.lower()]) if modifier != "exact" else text
        if not kinds.folded(text):
            return None
        return Alternative(
            escaped(text), lambda each, found, holder: kinds.string_holds(each, found, holder, modifier, text)
        )

    def _token(self, item: Any, kind: str, modifier: str, type: str, parameter: SearchParameter) -> Alternative | None:
        if modifier == "text":
            return self._words(item, kind)
        if modifier == "of-type":
            return self._of_type(item)
        found = [(system, code) for system, code in kinds.codes(item, kind) if code or system]
        if not found:
            return None
        system, code = self.chance.choice(found)
        is_flag = {each for _, each, _ in self._pool(type, parameter.code)} == {"boolean"}
        if not is_flag and self.chance.random() < 0.1:
            code += "x"
        code = code if is_flag else self.chance.choice([code, code.upper(), code.lower()])
        form = self.chance.choice(["code", "code", "system|code", "|code", "system|"])
        if not code or (form == "system|" and system):
            form = "system|"
        if not system and form != "|code":
            form = "code"
        if not code.strip() and form != "system|":
            return None
        wanted = {"code": None, "|code": ""}.get(form, system)
        text = {
            "code": escaped(code),
            "|code": f"|{escaped(code)}",
            "system|code": f"{escaped(system or '')}|{escaped(code)}",
            "system|": f"{escaped(system or '')}|",
        }[form]
        asked = "" if form == "system|" else code
        return Alternative(text, lambda each, found, _: kinds.token_holds(each, found, wanted, asked.strip()))

    def _words(self, item: Any, kind: str) -> Alternative | None:
        found = [text for text in kinds.words(item, kind) if kinds.folded(text)]
        if not found:
            return None
        several = self.chance.choice(found).split()
        start = self.chance.randrange(len(several))
        text = " ".join(several[start : start + self.chance.randint(1, 2)])
        text = text[: self.chance.randint(1, len(text))]
        if not any(letter.isalnum() for letter in text):
            return None
        return Alternative(escaped(text), lambda each, found, _: kinds.text_holds(each, found, text))

    def _of_type(self, item: Any) -> Alternative | None:
        codings = item.get("type", {}).get("coding", []) if isinstance(item, dict) else []
        if not codings or not item.get("value") or not codings[0].get("system") or not codings[0].get("code"):
            return None
        system, code, value = codings[0]["system"], codings[0]["code"], item["value"]
        if self.chance.random() < 0.2:
            value += "0"
        return Alternative(
            "|".join(map(escaped, (system, code, value))),
            lambda each, found, _: found == "Identifier" and kinds.of_type_holds(each, found, system, code, value),
        )

    def _date(self, item: Any, kind: str) -> Alternative | None:
        if moments.of_item(item, kind) is None:
            return None
        if kind in {"Period", "Timing"}:
            ends = [each for each in (item.get("start"), item.get("end"), *item.get("event", [])) if each]
            if not ends:
                return None
            item = self.chance.choice(ends)
        text = item[: self.chance.choice([4, 7, 10, 16, len(item), len(item)])]
        if len(text) == 16:
            text += self.chance.choice(["", "Z", "+01:00"])
        if self.chance.random() < 0.2:
            text = f"{int(text[:4]) + self.chance.choice([-1, 1]):04}{text[4:]}".replace("-02-29", "-02-28")
        prefix = self.chance.choice(PREFIXES)
        shown = self.chance.choice([prefix, ""]) if prefix == "eq" else prefix
        return Alternative(shown + text, lambda each, found, _: kinds.date_holds(each, found, prefix, text))

    def _quantity(self, item: Any, kind: str, parameter_kind: str) -> Alternative | None:
        found = kinds.bounds(item, kind)
        if found is None:
            return None
        number = Decimal(str(next((float(each) for each in found if abs(float(each)) != float("inf")), 0)))
        if self.chance.random() < 0.4:
            number += Decimal(self.chance.choice(["0.1", "-0.1", "1", "-1", "10", "0.005"]))
        text = f"{number:f}"
        if "." in text and self.chance.random() < 0.4:
            text = text[: self.chance.randint(text.index("."), len(text))].rstrip(".")
        if text in {"-", ""} or len(text.replace(".", "").lstrip("-")) > 15 or len(text.partition(".")[2]) > 9:
            return None
        prefix = self.chance.choice(PREFIXES)
        shown = self.chance.choice([prefix, ""]) if prefix == "eq" else prefix
        unit: tuple[str, str] | None = None
        if parameter_kind == "quantity" and self.chance.random() < 0.6:
            unit = self._unit(item, kind)
        written = f"{shown}{text}" + (f"|{escaped(unit[0])}|{escaped(unit[1])}" if unit else "")
        return Alternative(written, lambda each, found, _: kinds.quantity_holds(each, found, prefix, text, unit))

    def _unit(self, item: Any, kind: str) -> tuple[str, str] | None:
        system, code, written = kinds.unit_of(item, kind)
        if code in kinds.TO_ONE_UNIT and system == kinds.UNIT_SYSTEM and self.chance.random() < 0.5:
            alike = [each for each, one in kinds.TO_ONE_UNIT.items() if one[0] == kinds.TO_ONE_UNIT[code][0]]
            return system, self.chance.choice(alike)
        name = self.chance.choice([code, written]) or code or written
        if not name:
            return None
        return (system, code) if system and code and self.chance.random() < 0.5 else ("", name)

    def _reference(self, item: Any, kind: str, parameter: SearchParameter, modifier: str) -> Alternative | None:
        if modifier == "identifier":
            logical = kinds.identifier_of(item) if kind == "Reference" else {}
            found = (
                self._token(logical, "Identifier", "", "Patient", parameters("Patient")["identifier"])
                if logical
                else None
            )
            if found is None:
                return None
            met = found.holds
            return Alternative(
                found.text,
                lambda each, named, _: (
                    named == "Reference"
                    and bool(kinds.identifier_of(each))
                    and met(kinds.identifier_of(each), "Identifier", "")
                ),
            )
        text = kinds.referred(item, kind)
        return links.to(self, text, parameter, modifier) if text else None

    def _uri(self, item: Any, modifier: str) -> Alternative | None:
        if not isinstance(item, str) or not item.strip():
            return None
        bare, _, version = item.strip().partition("|")
        if modifier == "below":
            parts = bare.split("/")
            bare = "/".join(parts[: self.chance.randint(min(3, len(parts)), len(parts))])
        elif modifier == "above":
            bare += self.chance.choice(["", "/", "/x", "/x/y", "x"])
        asked = version if version and not modifier and self.chance.random() < 0.5 else ""
        text = escaped(bare) + (f"\\|{escaped(asked)}" if asked else "")
        if not bare:
            return None
        return Alternative(text, lambda each, _type, _: kinds.uri_holds(each, modifier, bare, asked))
