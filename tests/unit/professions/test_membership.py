"""Under which bodies a practitioner stands, by what the resource says, and whether that is current."""

from datetime import UTC, datetime

import pytest

from fhir_server.professions.body import bodies
from fhir_server.professions.membership import SYSTEM, is_unknown, memberships
from tests.unit.professions.people import UK, member, number, practitioner, qualification

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALL = bodies()


def codes(resource: dict[str, object]) -> list[str]:
    return [one.body.code for one in memberships(resource, ALL)]


def lacks(resource: dict[str, object]) -> str:
    [only] = memberships(resource, ALL)
    return only.lacks(NOW)


def test_t_5_the_rules_of_the_gmc_load_from_the_qualification() -> None:
    loaded = [rule.id for one in memberships(member("GMC"), ALL) for rule in one.body.rules]

    assert "gmc-examined" in loaded
    assert lacks(member("GMC")) == ""


def test_t_6_the_rules_of_the_gdc_load_from_the_qualification() -> None:
    loaded = [rule.id for one in memberships(member("GDC"), ALL) for rule in one.body.rules]

    assert "gdc-examined" in loaded
    assert lacks(member("GDC")) == ""


def test_t_7_the_rules_of_the_nmc_load_from_the_qualification() -> None:
    loaded = [rule.id for one in memberships(member("NMC"), ALL) for rule in one.body.rules]

    assert "nmc-examined" in loaded
    assert lacks(member("NMC")) == ""


def test_t_28_where_two_bodies_hold_both_do() -> None:
    assert codes(member("GDC", "GMC")) == ["GDC", "GMC"]


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (practitioner(qualification("NMC")), ["NMC"]),
        (practitioner({"code": {}, "issuer": {"identifier": {"system": SYSTEM, "value": "NMC"}}}), ["NMC"]),
        (practitioner({"code": {"text": "Nurse"}, "identifier": [number("NMC")]}), ["NMC"]),
        (practitioner({"code": {"text": "Nurse"}}, identifier=[number("NMC")]), ["NMC"]),
        (practitioner({"code": {"text": "Nurse"}}), []),
        (practitioner({"code": {"coding": [{"system": "urn:else", "code": "NMC"}]}}), []),
        (practitioner({"code": {}, "issuer": {"identifier": {"system": "urn:else", "value": "NMC"}}}), []),
        (practitioner({"code": {}, "issuer": {"display": "GMC"}}), []),
        ({"resourceType": "Practitioner"}, []),
        (practitioner(identifier=[number("CNOM")]), []),
        (practitioner({"code": {"text": "Médecin"}, "identifier": [number("CNOM")]}), []),
        (practitioner(qualification("CNOM"), identifier=[number("CNOM")]), ["CNOM"]),
    ],
)
def test_a_body_is_named_and_never_guessed(resource: dict[str, object], expected: list[str]) -> None:
    assert codes(resource) == expected


def test_a_body_whose_rules_are_not_here_is_told() -> None:
    assert is_unknown(practitioner(qualification("GPhC")), ALL)
    assert is_unknown(practitioner(qualification("GMC"), qualification("GPhC")), ALL)
    assert not is_unknown(member("GMC"), ALL)
    assert not is_unknown({"resourceType": "Practitioner"}, ALL)


def test_a_number_lies_in_the_qualification_or_beside_it() -> None:
    assert lacks(practitioner(qualification("GMC"), identifier=[number("GMC")])) == ""
    assert lacks(practitioner(identifier=[number("GMC")])) == ""
    assert lacks(practitioner(qualification("CNOM"), identifier=[number("CNOM")])) == ""


def test_without_a_number_or_with_a_strange_one_nobody_is_registered() -> None:
    assert lacks(practitioner(qualification("GMC"))) == "No number of the GMC is on record."
    assert lacks(practitioner(qualification("GMC", identifier=[{"system": f"{UK}/gmc-number"}]))).startswith(
        "No number"
    )
    assert "has the form" in lacks(practitioner(qualification("GMC", identifier=[number("GMC", value="12")])))


@pytest.mark.parametrize(
    ("period", "current"),
    [
        ({"start": "2020-01-01"}, True),
        ({"end": "2026-11-23"}, True),
        ({"end": "2026-11-22"}, False),
        ({"start": "2026-12-01"}, False),
        ({"end": "soon"}, False),
    ],
)
def test_a_registration_counts_in_its_period(period: dict[str, str], current: bool) -> None:  # noqa: FBT001  a case
    own = practitioner(qualification("NMC", identifier=[number("NMC")], period=period))
    beside = practitioner(identifier=[number("NMC", period=period)])
    both = practitioner(qualification("NMC"), identifier=[number("NMC", period=period)])

    assert {lacks(own) == "", lacks(beside) == "", lacks(both) == ""} == {current}


def test_one_current_registration_is_enough() -> None:
    old = qualification("GMC", identifier=[number("GMC")], period={"end": "2019"})
    new = qualification("GMC", identifier=[number("GMC")], period={"start": "2021"})

    assert lacks(practitioner(old, new)) == ""
    assert lacks(practitioner(old)) == "No registration with the GMC on record was current then."
