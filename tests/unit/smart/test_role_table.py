"""The page of roles says what the file of roles says; and what no role may be made to say."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import compartments, served_types
from fhir_server.fhir.elements import children
from fhir_server.smart.role_table import page
from fhir_server.smart.roles import LETTERS, SYSTEM, Reach, Role, Rule, roles, understood

PAGE = Path(__file__).parents[3] / "docs/roles.md"
STAFF = {
    "practitioner",
    "nurse",
    "receptionist",
    "marketing",
    "privacy-officer",
    "clinical-lead",
    "auditor",
    "administrator",
}
SERVED = {"patient", "related-person"}
PHOTOS = {"Media", "Binary"}
DIAGNOSES = {"Condition", "Encounter", "Observation", "Procedure", "DiagnosticReport", "ClinicalImpression"}


def reading(role: Role, types: set[str]) -> list[Rule]:
    return [rule for rule in role.rules if rule.types & types and rule.may & {"r", "s"}]


def test_s_60_the_page_is_made_of_the_roles() -> None:
    assert PAGE.read_text() == page(), "make roles"


def test_s_60_the_command_prints_the_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "fhir_server.smart.role_table")

    runpy.run_module("fhir_server.smart.role_table", run_name="__main__")

    assert capsys.readouterr().out == page()


def test_s_107_these_are_the_roles_of_a_clinic() -> None:
    assert set(roles()) == STAFF | SERVED | {SYSTEM}


@pytest.mark.parametrize("name", sorted(STAFF | SERVED))
def test_s_60_no_person_sees_a_patients_data_without_a_bound(name: str) -> None:
    """All of a type that lies in patients' files is for who books, who keeps registers, and who finds a patient."""
    unbound = {
        type
        for rule in reading(roles()[name], {type for type in served_types() if "Patient" in compartments(type)})
        if rule.reach is Reach.ALL and not rule.where and not rule.masks
        for type in rule.types
        if "Patient" in compartments(type)
    } - {"Schedule"}

    expected = {
        "privacy-officer": {"AuditEvent", "Consent", "Provenance", "RelatedPerson"},
        "auditor": {"AuditEvent", "Provenance"},
    }
    assert unbound == expected.get(name, set())


def test_s_60_a_receptionist_sees_no_photo_and_no_diagnosis() -> None:
    role = roles()["receptionist"]

    assert not reading(role, PHOTOS | DIAGNOSES)
    for rule in reading(role, {"Patient", "RelatedPerson", "Appointment", "AppointmentResponse"}):
        for element in ("photo", "text", "contained", "extension", "reasonCode", "reasonReference", "comment"):
            assert not rule.shows(element)


def test_s_60_an_administrator_sees_no_patient() -> None:
    for rule in roles()["administrator"].rules:
        lies_in_files = {type for type in rule.types if "Patient" in compartments(type)}
        assert not lies_in_files or rule.reach is Reach.IMPERSONAL


def test_s_60_marketing_lists_released_renditions_alone() -> None:
    [rule] = reading(roles()["marketing"], PHOTOS)

    assert rule.types == {"Media"}
    assert "release|released" in rule.where
    assert not any(
        rule.shows(element) for element in ("subject", "encounter", "operator", "note", "identifier", "text")
    )
    assert not any(rule.may & set("cud") for rule in roles()["marketing"].rules)


def test_s_60_an_auditor_and_a_clinical_lead_change_no_record() -> None:
    for name, own in (("auditor", set[str]()), ("clinical-lead", {"Task", "Communication"})):
        changed = {type for rule in roles()[name].rules if rule.may & set("cud") for type in rule.types}
        assert changed == own


@pytest.mark.parametrize("name", sorted(STAFF | SERVED))
def test_nobody_but_an_administrator_deletes(name: str) -> None:
    deleting = [rule for rule in roles()[name].rules if "d" in rule.may]

    assert bool(deleting) is (name == "administrator")


@pytest.mark.parametrize("name", sorted(roles()))
def test_every_element_that_a_rule_names_is_one_of_each_of_its_types(name: str) -> None:
    for rule in roles()[name].rules:
        for type in rule.types:
            named = {name.partition(".") for name in rule.only | rule.without | rule.changes}
            assert {element for element, _, _ in named} <= children(type).keys()
            for element, _, child in named:
                [of] = {each.type for each in children(type)[element]} if child else {""}
                assert not child or child in children(of)


@pytest.mark.parametrize("name", sorted(roles()))
def test_a_masked_resource_still_has_what_r4_requires(name: str) -> None:
    for rule in roles()[name].rules:
        for type in rule.types if rule.masks else ():
            required = {n.removesuffix("[x]") for n, each in read("types")[type]["elements"].items() if "min" in each}
            assert all(rule.shows(element) for element in required)


@pytest.mark.parametrize("role", roles().values(), ids=lambda role: role.name)
def test_a_role_reaches_by_a_tie_only_if_it_has_one(role: Role) -> None:
    tied = any(rule.reach is Reach.TIED for rule in role.rules)

    assert not tied or role.tie is not None
    assert all(deed in LETTERS or deed.startswith("$") for rule in role.rules for deed in rule.may)


def test_only_those_who_treat_break_the_glass() -> None:
    assert {role.name for role in roles().values() if role.breaks_glass} == {"practitioner", "nurse"}
    asking = {role.name for role in roles().values() for rule in role.rules if "$break-glass" in rule.may}
    assert asking == {"practitioner", "nurse"}


@pytest.mark.parametrize(
    "rule",
    [
        {"types": ["Nonsense"], "may": "r"},
        {"types": ["Patient"], "may": "rx"},
        {"types": ["Media"], "may": "rsu", "only": ["content.url"]},
        {"types": ["Patient"], "may": "r", "where": "nonsense=1"},
        {"types": ["Patient", "Media"], "may": "r", "where": "birthdate=2020-01-01"},
        {"types": ["Patient"], "may": "r", "reach": "everywhere"},
    ],
)
def test_a_rule_that_cannot_be_is_refused_when_it_is_read(rule: dict[str, Any]) -> None:
    role = {"title": "x", "says": "x", "purposes": ["TREAT"], "rules": [{"reach": "all", **rule}]}

    with pytest.raises(ValueError, match=r"."):
        understood({"groups": {}, "roles": {"x": role}})


def test_nobody_but_a_back_end_exports() -> None:
    assert [role.name for role in roles().values() if role.exports] == [SYSTEM]


def test_the_log_is_read_and_never_written_by_a_person() -> None:
    for role in roles().values():
        for rule in role.rules:
            if "AuditEvent" in rule.types and role.name != SYSTEM:
                assert rule.may <= {"r", "s"}
