"""`Patient/$match`: who on file may be the person that somebody describes, graded, and never more than candidates.

https://hl7.org/fhir/R4/patient-operation-match.html. The searches behind it pass every step like a client's own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.likeness import Grade, Person, grade, person
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.search.parse import Pairs, parse
from fhir_server.search.tree import AnyOf, Filter

MOST_CANDIDATES = 50
_MOST_SEARCHES = 12
_MOST_VALUES = 12
_ORDER: tuple[Grade, ...] = ("certain", "probable", "possible")


@dataclass(frozen=True, slots=True)
class Described:
    """`only_certain`: nothing where it is not sure who is meant. At most `count` are told."""

    patient: Json
    only_certain: bool = False
    count: int = 10


@dataclass(frozen=True, slots=True)
class Match:
    stored: Stored
    grade: Grade


def described(body: object) -> Described:
    """From Parameters with `resource`, `onlyCertainMatches` and `count`. Raises InvalidRequestError."""
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise InvalidRequestError("$match takes Parameters with the resource to match.")
    given = {one.get("name"): one for one in body.get("parameter", []) if isinstance(one, dict)}
    patient = given.get("resource", {}).get("resource")
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise InvalidRequestError("The parameter resource holds no Patient.")
    only, count = given.get("onlyCertainMatches", {}).get("valueBoolean", False), given.get("count", {})
    most = count.get("valueInteger", 10)
    if not isinstance(only, bool) or not isinstance(most, int) or not 1 <= most <= MOST_CANDIDATES:
        raise InvalidRequestError(f"onlyCertainMatches is a boolean, count a number from 1 to {MOST_CANDIDATES}.")
    return Described(patient, only, most)


class Matches:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, call: Call, asked: Described) -> list[Match]:
        """The surest first. Raises UnprocessableError where too little is said to look for anybody."""
        searching = replace(call, interaction=Interaction.SEARCH_TYPE, type="Patient", id=None, operation=None)
        wanted = person(asked.patient)
        searches = list(_searches(asked.patient, wanted))[:_MOST_SEARCHES]

        async def once(attempt: Attempt) -> list[Match]:
            await self._engine.steps.admit(searching)
            if not searches:
                raise UnprocessableError("Say an identifier, or a name with a birth date, a telephone or an e-mail.")
            matches = _graded(wanted, await self._candidates(searching, searches), asked)
            attempt.disclosed.extend(match.stored for match in matches)
            return matches

        return await disclosing(self._engine.steps, searching, once)

    async def _candidates(self, call: Call, searches: Sequence[Pairs]) -> list[Stored]:
        """What any of the searches finds, in one look; where that is too much for a page, each has a page of its own.

        So nobody is crowded out by those whom another search finds.
        """
        counted = ("_count", str(MOST_CANDIDATES))
        queries = [parse("Patient", [*pairs, counted], self._engine.language) for pairs in searches]
        options = tuple(tuple(each.condition for each in query.filters) for query in queries)
        page = await self._engine.found(call, (replace(queries[0], filters=(Filter(AnyOf(options), ("", "")),)),))
        if page.next is None:
            return list(page.matches)
        pages = [await self._engine.found(call, (query,)) for query in queries]
        return list({stored.key: stored for page in pages for stored in page.matches}.values())


def _graded(wanted: Person, found: Sequence[Stored], asked: Described) -> list[Match]:
    matches = [Match(stored, grade(wanted, person(stored.resource))) for stored in found]
    if sum(match.grade == "certain" for match in matches) > 1:
        # Two people cannot both be certain to be one: somebody has to look.
        matches = [replace(match, grade="probable") if match.grade == "certain" else match for match in matches]
    told = [match for match in matches if match.grade in (_ORDER[:1] if asked.only_certain else _ORDER)]
    told.sort(key=lambda match: (_ORDER.index(match.grade), str(match.stored.key)))
    return told[: asked.count]


def _searches(patient: Json, wanted: Person) -> Iterator[Pairs]:
    for one in patient.get("identifier", []):
        if one.get("system") and one.get("value"):
            yield (("identifier", f"{_escaped(one['system'])}|{_escaped(one['value'])}"),)
    names = [("family", _any_of(wanted.families)), ("given", _any_of(wanted.given))]
    telecoms = (one["value"] for one in patient.get("telecom", []) if one.get("system") and one.get("value"))
    addresses = ("telecom", _any_of(telecoms))
    if wanted.birth_date:
        for name, values in (*names, addresses):
            if values:
                yield (("birthdate", wanted.birth_date), (name, values))
    elif wanted.families and addresses[1]:
        yield (names[0], addresses)


def _any_of(values: Iterable[str]) -> str:
    """One search for all of them: each search costs as much, whatever it looks for."""
    return ",".join(_escaped(value) for value in sorted(set(values))[:_MOST_VALUES])


def _escaped(value: str) -> str:
    for letter in ("\\", ",", "|", "$"):
        value = value.replace(letter, f"\\{letter}")
    return value
