"""The compliance report's lines on professional bodies: who is registered now, and whose body is not known here."""

from dataclasses import replace
from datetime import UTC, datetime

from fhir_server.privacy.register.compliance import PROFESSIONS, by_section
from fhir_server.privacy.register.registrations import registrations
from fhir_server.professions.body import REGISTERED, WARNING, Bodies, bodies
from tests.unit.professions.people import member, practitioner, qualification

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def told(*staff: dict[str, object], rules: Bodies | None = None) -> dict[str, tuple[str, str]]:
    found = registrations(rules or bodies(), [(f"Practitioner/{n}", one) for n, one in enumerate(staff)], NOW)
    assert {duty.section for duty in found} <= {PROFESSIONS}
    return {duty.name: (duty.state, duty.evidence) for duty in found}


def test_t_28_each_body_that_somebody_stands_under_has_its_line() -> None:
    found = told(member("GMC"), member("NMC", "GMC"), {"resourceType": "Practitioner"})

    assert {name: state for name, (state, _) in found.items()} == {
        "professional-body-GMC": "green",
        "professional-body-NMC": "green",
    }
    assert found["professional-body-GMC"][1].startswith("2 on record, each registered now.")
    assert "verified" in found["professional-body-GMC"][1]


def test_t_28_a_registration_that_lapsed_or_lacks_is_red_and_says_whose() -> None:
    lapsed = member("GDC", end="2026-11-01")

    state, says = told(member("GDC"), lapsed, practitioner(qualification("GDC")))["professional-body-GDC"]

    assert state == "red"
    assert "Practitioner/0" not in says
    assert "Practitioner/1: No registration with the GDC on record was current then." in says
    assert "Practitioner/2: No number of the GDC is on record." in says


def test_t_28_a_body_that_is_not_known_here_is_said_and_not_guessed() -> None:
    found = told(practitioner(qualification("GPhC")))

    assert found == {"professional-bodies": ("amber", "Rules of a body that they name are not here: Practitioner/0.")}


def test_nobody_under_a_body_makes_no_line() -> None:
    assert told({"resourceType": "Practitioner"}) == {}


def test_how_bad_it_is_stands_in_the_rule() -> None:
    gmc = bodies()["GMC"]
    [rule] = gmc.of_kind(REGISTERED)
    milder = {"GMC": replace(gmc, rules=(replace(rule, broken=WARNING),))}
    silent = {"GMC": replace(gmc, rules=())}
    bare = practitioner(qualification("GMC"))

    assert told(bare, rules=milder)["professional-body-GMC"][0] == "amber"
    assert told(bare, rules=silent)["professional-body-GMC"][0] == "green"


def test_the_report_has_them_in_a_section_of_their_own() -> None:
    found = registrations(bodies(), [("Practitioner/0", member("GMC"))], NOW)

    assert {section: list(duties) for section, duties in by_section(found)}[PROFESSIONS] == list(found)
