"""What one principal may do: its scopes, united, within its role. Worked out once, then looked up.

R-SMART-051: granted scopes unite with each other and intersect with the person's own rights; no scope means nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from fhir_server.engine.call import Principal
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.search.match import Candidate, matcher
from fhir_server.search.tree import AnyOf, Condition, IdIn, InCompartment, Mandate, Query
from fhir_server.smart.deeds import letter_of
from fhir_server.smart.granular import ANY_TYPE, limits
from fhir_server.smart.roles import EMERGENCIES, SYSTEM, Reach, Role, Rule, roles
from fhir_server.smart.scopes import parse_all

SHARED_WITH_PATIENTS = frozenset(
    {
        "HealthcareService",
        "Location",
        "Medication",
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "Schedule",
        "Slot",
    }
)
"""Types that a patient's app may read whole: they describe the clinic and when it has time, nobody treated."""

_READING = frozenset("rs")
_TREATMENT = "TREAT"

Options: TypeAlias = tuple[tuple[Condition, ...], ...]
"""Alternatives, each a conjunction; an empty one is no limit."""

Meets: TypeAlias = Callable[[Candidate], bool]


@dataclass(frozen=True, slots=True)
class Granted:
    """A rule of the role, its `where` understood. `meets` is None where there is none."""

    rule: Rule
    where: tuple[Condition, ...] = ()
    meets: Meets | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """What a letter or operation reaches of a type: what an option of the scopes and one of the rules allow.

    `whole`: everything of that type, to the last element; `tied`: whether a rule asks for a tie. `within`: the one
    compartment that the scopes are limited to, where that is their only limit.
    """

    type: str
    options: Options
    rules: tuple[Granted, ...]
    meets: Meets | None
    within: str | None
    whole: bool
    tied: bool


class Rights:
    """`own`: the patient that the role is about, where it is about one. `purpose` is empty where none may be had."""

    def __init__(self, principal: Principal) -> None:
        self.role = _role_of(principal)
        self.purpose = _purpose(self.role, principal)
        self.person = parse_reference(principal.fhir_user) if principal.fhir_user else None
        self.own = _own(self.role, self.person, principal.patient)
        self._context = f"Patient/{principal.patient}" if principal.patient else None
        self._tells_user = "fhirUser" in principal.scopes
        allowed = _contexts(principal)
        self._scopes = tuple(scope for scope in parse_all(principal.scopes) if scope.context in allowed)
        self._found: dict[tuple[str, str], Right | None] = {}

    def on(self, deed: str, type: str) -> Right | None:
        """`deed` is a letter or `$operation`. None: nothing of that type."""
        try:
            return self._found[deed, type]
        except KeyError:
            right = self._found[deed, type] = self._right(deed, type)
            return right

    def is_about_one(self, type: str) -> bool:
        """Of all patients to whom it is tied, the role is about the one in context; whom to choose, it may look up."""
        return self.role is not None and self.role.context and not (self.own is None and type == "Patient")

    def anywhere(self, letter: str) -> bool:
        """May it be asked of all types at once? Each resource is decided by its own type afterwards."""
        return self.role is not None and any(s.type == ANY_TYPE and letter in s.letters for s in self._scopes)

    def _right(self, deed: str, type: str) -> Right | None:
        options = tuple(dict.fromkeys(self._options(deed, type))) if deed else ()
        rules = tuple(self._rules(deed, type))
        if not options or not rules:
            return None
        if () in options:
            options = ((),)
        first = rules[0].rule
        whole = options == ((),) and first.reach is Reach.ALL and not (first.where or first.masks or first.changes)
        tied = self.role is not None and self.role.tie is not None and any(_asks_tie(each.rule) for each in rules)
        meets = None if options == ((),) else _meets(type, options)
        return Right(type, options, rules, meets, _within(options), whole, tied)

    def _options(self, deed: str, type: str) -> Iterator[tuple[Condition, ...]]:
        letter = letter_of(deed)
        for scope in self._scopes:
            if not scope.covers(letter, type):
                continue
            if scope.context != "patient" or (type in SHARED_WITH_PATIENTS and letter in _READING and self._context):
                yield scope.limits
            elif self._context:
                yield (InCompartment(self._context), *scope.limits)
        if self._tells_user and deed == "r" and self.person and self.person.type == type:
            yield (IdIn(frozenset({self.person.id})),)

    def _rules(self, deed: str, type: str) -> Iterator[Granted]:
        if self.role is None:
            return
        for rule in self.role.on(deed, type):
            where = limits(type, rule.where) if rule.where else ()
            assert where is not None, "roles are checked when they are read"
            yield Granted(rule, where, _meets(type, (where,)) if where else None)
        if deed == "r" and self.person and self.person.type == type:
            # R-SMART-071: whoever signs in may read who they are.
            oneself = (IdIn(frozenset({self.person.id})),)
            yield Granted(Rule(frozenset({type}), frozenset("r"), Reach.ALL), oneself, _meets(type, (oneself,)))


rights_of = lru_cache(maxsize=4096)(Rights)


def purpose_of(principal: Principal) -> str:
    """What its holder asks for, as a v3-ActReason code; empty where role and client have none in common."""
    return rights_of(principal).purpose


def _role_of(principal: Principal) -> Role | None:
    """None for a name that no role has: then nothing is allowed."""
    return roles().get(principal.role if principal.role is not None else SYSTEM)


def _contexts(principal: Principal) -> frozenset[str]:
    """R-SMART-053: a person's token has no use of `system/`, a back end's none of the others."""
    match principal.role:
        case None:
            return frozenset({"system"})
        case "system":
            return frozenset({"system", "user", "patient"})
        case _:
            return frozenset({"user", "patient"})


def _purpose(role: Role | None, principal: Principal) -> str:
    """R-PCF-013: the role says what a use may be for, the client's registration what the client may be used for.

    Nobody states an emergency: it is what a person's broken glass makes of one patient's treatment.
    """
    if role is None:
        return ""
    if role.name == SYSTEM:
        may = (each for each in principal.purposes if each not in EMERGENCIES)
        return next(may, "") if principal.purposes else _TREATMENT
    return next((each for each in role.purposes if not principal.purposes or each in principal.purposes), "")


def _own(role: Role | None, person: ResourceKey | None, context: str | None) -> str | None:
    """A patient is who signed in, whatever the context says; where the two differ there is nobody."""
    if role is None or not (role.context or any(rule.reach is Reach.OWN for rule in role.rules)):
        return None
    if person is not None and person.type == "Patient":
        return person.id if context in {None, person.id} else None
    return context


def _within(options: Options) -> str | None:
    match options:
        case ((InCompartment(compartment),),):
            return compartment
        case _:
            return None


def _asks_tie(rule: Rule) -> bool:
    return rule.reach in {Reach.OWN, Reach.TIED}


def _meets(type: str, options: Options) -> Meets:
    return matcher(Query(type, mandates=(Mandate(AnyOf(options), by="smart.scope"),)))
