"""The decision against an oracle that knows no "unsure": it goes through every way things may really be.

A restriction that this server cannot evaluate may hold or not. The oracle decides in each of these worlds by plain
yes and no; a permission must stand in all of them, a refusal in one suffices.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhir_server.consent.decision import decide
from fhir_server.consent.question import Permit
from fhir_server.engine.change import ConsentBasis
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import EPOCH, PHOTO, SURGEON, ask, consent, head, purpose

TRUE, FALSE, OPEN = "true", "false", "open"
IRCP = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
Table = dict[str, tuple[Json, str]]
PURPOSES: dict[str, tuple[list[Json], str, bool]] = {
    "none": ([], TRUE, False),
    "asked": ([purpose("care-photography")], TRUE, True),
    "other": ([purpose("research")], FALSE, False),
    "both": ([purpose("research"), purpose("care-photography")], TRUE, False),
    "any": ([purpose("*")], OPEN, False),
    "asked and any": ([purpose("care-photography"), purpose("*")], TRUE, False),
}
PERIODS: Table = {
    "none": ({}, TRUE),
    "inside": ({"period": {"start": "2026-03-14", "end": "2026-03-14"}}, TRUE),
    "outside": ({"period": {"end": "2026-03-13"}}, FALSE),
    "unreadable": ({"period": {"end": "soon"}}, OPEN),
}
DATA: Table = {
    "none": ({}, TRUE),
    "this": ({"data": [{"meaning": "instance", "reference": {"reference": str(PHOTO)}}]}, TRUE),
    "other": ({"data": [{"meaning": "instance", "reference": {"reference": "Media/x"}}]}, FALSE),
    "related": ({"data": [{"meaning": "related", "reference": {"reference": str(PHOTO)}}]}, OPEN),
}
ACTORS: Table = {
    "none": ({}, TRUE),
    "this": ({"actor": [{"role": IRCP, "reference": {"reference": str(SURGEON)}}]}, TRUE),
    "other": ({"actor": [{"role": IRCP, "reference": {"reference": "Practitioner/x"}}]}, FALSE),
    "group": ({"actor": [{"role": IRCP, "reference": {"reference": "Group/x"}}]}, OPEN),
}
REST: Table = {"none": ({}, TRUE), "label": ({"securityLabel": [{"code": "R"}]}, OPEN)}
PATIENTS = {
    "this": ("Patient/7", TRUE),
    "other": ("Patient/8", FALSE),
    "absolute": ("https://x.example/Patient/7", OPEN),
}


@dataclass(frozen=True)
class Rule:
    kind: str
    purpose: str
    period: str
    data: str
    actor: str
    rest: str
    exceptions: tuple["Rule", ...] = ()

    def written(self) -> Json:
        parts: Json = {"type": self.kind} if self.kind else {}
        for table, choice in ((PERIODS, self.period), (DATA, self.data), (ACTORS, self.actor), (REST, self.rest)):
            parts |= table[choice][0]
        if PURPOSES[self.purpose][0]:
            parts["purpose"] = PURPOSES[self.purpose][0]
        if self.exceptions:
            parts["provision"] = [exception.written() for exception in self.exceptions]
        return parts

    def facts(self) -> list[str]:
        own = [PURPOSES[self.purpose][1], PERIODS[self.period][1], DATA[self.data][1], ACTORS[self.actor][1]]
        return [*own, REST[self.rest][1]]

    @property
    def specific(self) -> bool:
        return PURPOSES[self.purpose][2]


@dataclass(frozen=True)
class Given:
    rule: Rule
    patient: str
    active: bool
    shown: str

    def facts(self) -> list[list[str]]:
        return [[PATIENTS[self.patient][1], *self.rule.facts()], *(rule.facts() for rule in self.rule.exceptions)]


def rules(exceptions: bool) -> st.SearchStrategy[Rule]:  # noqa: FBT001  with or without the second level
    inner = st.lists(rules(exceptions=False), max_size=2).map(tuple) if exceptions else st.just(())
    return st.builds(
        Rule,
        st.sampled_from(["permit", "permit", "deny", ""]),
        st.sampled_from([*PURPOSES, "asked", "asked", "asked"]),
        st.sampled_from([*PERIODS, "none", "none"]),
        st.sampled_from([*DATA, "none", "none"]),
        st.sampled_from([*ACTORS, "none", "none"]),
        st.sampled_from([*REST, "none", "none"]),
        inner,
    )


GIVEN = st.builds(
    Given,
    rules(exceptions=True),
    st.sampled_from([*PATIENTS, "this", "this", "this"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["current"] * 12 + ["older", "missing", "unlisted"]),
)


def worlds(facts: list[list[str]]) -> list[list[list[bool]]]:
    """Every way the open facts may fall, as: does each rule speak?"""
    open_facts = sum(fact == OPEN for rule in facts for fact in rule)
    assume(open_facts <= 8)
    return [_fallen(facts, iter(falls)) for falls in product([True, False], repeat=open_facts)]


def _fallen(facts: list[list[str]], falls: Iterator[bool]) -> list[list[bool]]:
    return [[next(falls) if fact == OPEN else fact == TRUE for fact in rule] for rule in facts]


def outcome(rule: Rule, fallen: list[list[bool]]) -> str:
    """What one consent says in one world."""
    patient, *root = fallen[0]
    over = rule.kind == "permit" and rule.period == "outside"
    if over:
        root[1] = True
    inner = list(zip(rule.exceptions, fallen[1:], strict=True))
    if rule.kind == "permit":
        speaks = [inherited(exception, own, root) for exception, own in inner]
    else:
        speaks = [all(own) for _, own in inner]
    refused = any(
        speaking and exception.kind != "permit" for (exception, _), speaking in zip(inner, speaks, strict=True)
    )
    if rule.kind == "permit":
        if not patient:
            return "silent"
        # A nested permission without labels of its own may narrow as well as widen.
        narrowed = any(exception.kind == "permit" and exception.rest == "none" for exception, _ in inner)
        permits = all(root) and rule.specific and not narrowed and not over
        return "refuses" if refused else "permits" if permits else "silent"
    if not patient or not all(root):
        return "silent"
    opened = any(
        speaking and exception.kind == "permit" and exception.specific
        for (exception, _), speaking in zip(inner, speaks, strict=True)
    )
    return "permits" if rule.kind == "deny" and opened and not refused else "refuses"


def inherited(exception: Rule, own: list[bool], root: list[bool]) -> bool:
    """Where an exception restricts nothing itself, the restriction of its rule holds for it."""
    chosen = (exception.purpose, exception.period, exception.data, exception.actor, exception.rest)
    return all(outer if choice == "none" else mine for choice, mine, outer in zip(chosen, own, root, strict=True))


def expected(consents: list[Given]) -> bool:
    if any(given.shown in {"older", "missing"} for given in consents):
        return False
    counted = [given for given in consents if given.active and given.shown == "current"]
    said = [{outcome(given.rule, speaks) for speaks in worlds(given.facts())} for given in counted]
    return any(outcomes == {"permits"} for outcomes in said) and not any("refuses" in outcomes for outcomes in said)


def written(number: int, given: Given, **changes: Any) -> Json:
    reference = {"reference": PATIENTS[given.patient][0]}
    status = "active" if given.active else "inactive"
    return consent(given.rule.written(), id=f"c{number}", patient=reference, status=status, **changes)


@settings(max_examples=400, deadline=None)
@given(st.lists(GIVEN, max_size=3), st.randoms(use_true_random=False))
def test_the_decision_agrees_with_every_world(consents: list[Given], order: Any) -> None:
    listed = [written(number, given) for number, given in enumerate(consents) if given.shown != "unlisted"]
    shown = [
        written(number, given, version=1 if given.shown == "older" else 2)
        for number, given in enumerate(consents)
        if given.shown != "missing"
    ]
    order.shuffle(shown)

    decision = decide(ask(), shown, head(listed))

    assert isinstance(decision, Permit) == expected(consents)
    if isinstance(decision, Permit):
        assert isinstance(decision.basis, ConsentBasis)
        assert head(listed).consents[decision.basis.consent] == decision.basis.version
        assert (decision.basis.patient, decision.basis.epoch) == ("7", EPOCH)


PERMITS = rules(exceptions=False).map(
    lambda rule: Given(replace(rule, kind="permit"), "this", active=True, shown="current")
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PERMITS, min_size=1, max_size=4), st.integers(0, 3))
def test_m19_the_withdrawal_of_a_permission_never_opens_anything(consents: list[Given], number: int) -> None:
    current = [written(number, given) for number, given in enumerate(consents)]
    left = [kept for kept in current if kept is not current[number % len(current)]]

    before, after = decide(ask(), current, head(current)), decide(ask(), left, head(left))

    assert not isinstance(after, Permit) or isinstance(before, Permit)


def test_the_head_is_the_only_list_that_counts() -> None:
    everything = [consent({"type": "permit", "purpose": [purpose("care-photography")]}, id=f"c{n}") for n in range(5)]

    assert not isinstance(decide(ask(), everything, Head("7", EPOCH, {})), Permit)
    assert isinstance(decide(ask(), everything, Head("7", EPOCH, {ResourceKey("Consent", "c3"): 2})), Permit)
