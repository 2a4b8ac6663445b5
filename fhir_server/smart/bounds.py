"""What a search is bound to: the limits of scopes and role as mandates, which make pages and totals right.

Architecture section 2 (`narrow`); R-SMART-059, -060. `disclose` decides again on each match: what cannot be said as a
mandate is left to it.
"""

from collections.abc import Sequence

from fhir_server.engine.call import Call
from fhir_server.fhir.definitions import compartments
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.search.tree import AnyOf, Condition, IdIn, InCompartment, Mandate, Query, ValueIn
from fhir_server.search.types.kind import Predicate
from fhir_server.search.types.reference import ReferenceAmong, ReferenceTo
from fhir_server.smart.masks import hides
from fhir_server.smart.reaching import Ties
from fhir_server.smart.rights import Granted, Options, Right, Rights
from fhir_server.smart.roles import Reach
from fhir_server.smart.tie_sources import SOURCES

_NOTHING: Options = ()
_ANYTHING: Options = ((),)


class Bounds:
    def __init__(self, ties: Ties) -> None:
        self._ties = ties

    async def of(self, call: Call, rights: Rights, right: Right, query: Query) -> Query:
        """Raises ForbiddenError for a search that the role does not make at all."""
        if right.whole:
            return query
        lies_in_compartments = "Patient" in compartments(query.type)
        if not lies_in_compartments and all(_compartment_of(option) for option in right.options):
            raise ForbiddenError(f"{query.type} lies in no patient's compartment.")
        query = _imposed(query, right.options, by="smart.scope")
        found: list[tuple[Condition, ...]] = []
        for granted in _searching(right, query):
            found += [(*option, *granted.where) for option in await self._reach(call, rights, granted, query)]
        return _imposed(query, tuple(dict.fromkeys(found)), by="smart.role")

    async def _reach(self, call: Call, rights: Rights, granted: Granted, query: Query) -> Options:
        match granted.rule.reach:
            case Reach.ALL | Reach.IMPERSONAL:
                return _ANYTHING
            case Reach.OWN:
                return await self._within(call, rights, query, [rights.own] if rights.own else [])
            case Reach.TIED if rights.is_about_one(query.type):
                return await self._within(call, rights, query, [rights.own] if rights.own else [])
            case _:
                return await self._tied(call, rights, query)

    async def _tied(self, call: Call, rights: Rights, query: Query) -> Options:
        named = patients_named(query)
        if named is not None:
            return await self._within(call, rights, query, sorted(named))
        if "Patient" not in compartments(query.type) or _names_oneself(rights, query):
            return _ANYTHING
        tied = await self._ties.patients(call, rights)
        # Too many to be named in a query: each match is decided by itself.
        return _ANYTHING if tied is None else await self._within(call, rights, query, tied)

    async def _within(self, call: Call, rights: Rights, query: Query, patients: Sequence[str]) -> Options:
        """The compartments of those patients to whom the caller is tied, where the role asks for a tie."""
        if "Patient" not in compartments(query.type):
            return _ANYTHING if patients else _NOTHING
        if rights.role is not None and rights.role.tie is not None:
            await self._ties.know(call, rights, patients)
            patients = [patient for patient in patients if call.trace.ties.get(patient) is not None]
        return tuple((InCompartment(f"Patient/{patient}"),) for patient in patients)


def patients_named(query: Query) -> frozenset[str] | None:
    """The patients outside whose compartments nothing can match; None where the query does not say."""
    codes = {*compartments(query.type).get("Patient", ()), "patient"}
    asked = [each.condition for each in query.filters]
    for condition in (*asked, *(each.condition for each in query.mandates)):
        match condition:
            case InCompartment(compartment) if compartment.startswith("Patient/"):
                return frozenset({compartment.removeprefix("Patient/")})
            case ValueIn(code, any_of, False) if code in codes and (named := _patients_of_all(any_of)):
                return named
            case IdIn(ids, False) if query.type == "Patient":
                return ids
            case _:
                pass
    return None


def _patients_of_all(predicates: Sequence[Predicate]) -> frozenset[str]:
    """Empty where one of them may be met by something else."""
    found = [_patients_of(each) for each in predicates]
    return frozenset().union(*found) if all(found) else frozenset()


def _patients_of(predicate: Predicate) -> frozenset[str]:
    """Empty where it may be met by something else than some patients of this server."""
    match predicate:
        case ReferenceTo(types, id, _) if "Patient" in types:
            return frozenset({id})
        case ReferenceAmong(keys, urls, _) if not urls and all(key.startswith("Patient/") for key in keys):
            return frozenset(key.removeprefix("Patient/") for key in keys)
        case _:
            return frozenset()


def _searching(right: Right, query: Query) -> list[Granted]:
    """The rules under which this may be searched. Raises ForbiddenError where there is none."""
    hidden = [hides(granted.rule, query) for granted in right.rules]
    if all(hidden):
        raise ForbiddenError(f"Your role does not search {query.type} by {hidden[0]}.")
    usable = [granted for granted, code in zip(right.rules, hidden, strict=True) if code is None]
    named = patients_named(query)
    if (named is None or len(named) != 1) and all(granted.rule.one_patient for granted in usable):
        raise ForbiddenError(f"Your role lists {query.type} within one patient only; name that patient.")
    return [granted for granted in usable if not granted.rule.one_patient or (named and len(named) == 1)]


def _names_oneself(rights: Rights, query: Query) -> bool:
    """Asked of what ties, for the caller's own: each match says itself whether it does."""
    sources = SOURCES[rights.role.tie] if rights.role and rights.role.tie else ()
    codes = {source.person for source in sources if source.type == query.type}
    return any(
        isinstance(condition := each.condition, ValueIn)
        and condition.parameter in codes
        and not condition.negated
        and all(isinstance(one, ReferenceTo) and rights.person == (one.types[0], one.id) for one in condition.any_of)
        for each in query.filters
    )


def _imposed(query: Query, options: Options, by: str) -> Query:
    """What all alternatives have in common stands alone, where an index can use it."""
    if () in options:
        return query
    if not options:
        return query.must(Mandate(IdIn(frozenset()), by))
    common = [condition for condition in options[0] if all(condition in option for option in options)]
    for condition in common:
        query = query.must(Mandate(condition, by))
    rest = tuple(tuple(condition for condition in option if condition not in common) for option in options)
    return query if () in rest else query.must(Mandate(AnyOf(rest), by))


def _compartment_of(option: tuple[Condition, ...]) -> bool:
    return any(isinstance(condition, InCompartment) for condition in option)
