"""Validation against real resources with one fault each: refused, at the right place, for the right reason."""

from collections.abc import Iterator
from functools import cache

import pytest

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json
from tests.known_failures import known_failures
from tests.unit.fhir.mutations import MARK, Mutation, mutations
from tests.unit.fhir.real_input import examples

FOLLOWS = ("dom-3", "ref-1", "bdl-3", "bdl-4")
"""These look from elsewhere at what the fault spoilt: what named a contained resource, or that resource itself."""

Found = tuple[Mutation, tuple[Issue, ...]]


def sound() -> list[Json]:
    return [each for name, each in examples().items() if name not in known_failures("hl7-r4-examples")]


def _distinct() -> Iterator[tuple[Mutation, UnprocessableError | None]]:
    """Each kind of fault once at each element that the examples have."""
    seen = set()
    for resource in sound():
        for mutation in mutations(resource):
            kind = (mutation.label, mutation.spot.holder, mutation.spot.name)
            if kind not in seen:
                seen.add(kind)
                yield mutation, _refusal(mutation.of(resource))


def _refusal(resource: Json) -> UnprocessableError | None:
    try:
        validate(resource)
    except UnprocessableError as error:
        return error
    return None


@cache
def mutated() -> list[Found]:
    return [(mutation, tuple(error.issues) if error else ()) for mutation, error in _distinct()]


def told(mutation: Mutation, issues: tuple[Issue, ...]) -> str:
    """For the reader of a failure."""
    return f"{mutation.label} at {mutation.spot.place}: {[(each.code, each.expression) for each in issues]}"


def test_r_fhir_009_every_fault_is_refused_at_its_place_with_its_code() -> None:
    assert len(mutated()) > 5_000
    assert [
        told(mutation, issues)
        for mutation, issues in mutated()
        if (mutation.code, mutation.place) not in [(each.code, each.expression) for each in issues]
    ] == []


def test_r_fhir_009_one_fault_is_one_issue() -> None:
    assert [
        told(mutation, issues)
        for mutation, issues in mutated()
        if len([each for each in issues if not each.diagnostics.startswith(FOLLOWS)]) > 1
    ] == []


def test_r_fhir_009_a_fault_in_every_element_is_an_issue_for_every_element() -> None:
    for resource in sound():
        spoilt, expected = resource, dict[str, tuple[str, str]]()
        for number, mutation in enumerate(mutations(resource)):
            name = mutation.spot.name
            if (
                not mutation.spot.steps
                and name not in expected
                and mutation.place != mutation.spot.above
                and number % 3
            ):
                spoilt, expected[name] = mutation.of(spoilt), (mutation.code, mutation.place)

        refusal = _refusal(spoilt)

        assert refusal is not None
        assert {(each.code, each.expression) for each in refusal.issues} >= set(expected.values())


def test_no_issue_quotes_what_was_put_in() -> None:
    assert [
        told(mutation, issues)
        for mutation, issues in mutated()
        if any(MARK in f"{each.diagnostics} {each.expression}" for each in issues)
    ] == []


@pytest.mark.parametrize("code", ["structure", "required", "value", "code-invalid", "invariant", "invalid"])
def test_every_kind_of_issue_is_among_them(code: str) -> None:
    assert any(mutation.code == code for mutation, _ in mutated())
