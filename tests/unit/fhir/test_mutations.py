"""Validation against real resources with one fault each: refused, at the right place, for the right reason."""

from collections.abc import Iterator
from functools import cache

import pytest

from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json
from tests.known_failures import known_failures
from tests.unit.fhir.mutations import MARK, Mutation, mutations, spots
from tests.unit.fhir.real_input import examples
from tests.unit.fhir.specimens import largest

FOLLOWS = ("dom-3", "ref-1", "bdl-3", "bdl-4", "sdf-")
"""These look from elsewhere at what the fault spoilt: a contained resource and who names it, an entry, an element."""

Found = tuple[Mutation, tuple[Issue, ...]]


def sound() -> list[Json]:
    """The published examples, and of every type a resource with all that fits."""
    published = [each for name, each in examples().items() if name not in known_failures("hl7-r4-examples")]
    return [*published, *map(largest, sorted(served_types()))]


def _distinct() -> Iterator[tuple[Mutation, UnprocessableError | None]]:
    """Every fault once at each element of each type."""
    seen = set()
    for resource in sound():
        for spot in spots(resource):
            if (kind := (spot.holder, spot.name, spot.type)) not in seen:
                seen.add(kind)
                yield from ((each, _refusal(each.of(resource))) for each in mutations(resource, spot))


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
    assert len(mutated()) > 30_000
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
        for number, spot in enumerate(each for each in spots(resource) if not each.steps):
            faults = [each for each in mutations(resource, spot) if each.place != spot.above]
            fault = faults[number % len(faults)]
            spoilt, expected[spot.name] = fault.of(spoilt), (fault.code, fault.place)

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
