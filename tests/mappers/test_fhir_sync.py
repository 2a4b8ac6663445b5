"""What goes which way between two FHIR servers, case by case. The rest is shown by properties and by two clinics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mappers.fhir_sync.authority import Authority, Rule, Side, published
from mappers.fhir_sync.crossing import Crossing, literal, named
from mappers.fhir_sync.elements import COPY_OF, elements, origins, placed
from mappers.fhir_sync.link import Link, read
from mappers.fhir_sync.look import NEVER_SAID, OVERRULED
from mappers.fhir_sync.people import query, same
from mappers.fhir_sync.photographs import permits
from mappers.fhir_sync.reconcile import DELETED, NOT_TAKEN, STAYS, Ends, reconcile
from mappers.mapping.faults import UnusableError
from mappers.mapping.national_numbers import INS_NIR, NHS, NO_NUMBER, NOT_QUALIFIED
from tests.mappers.two_sides import BASES, TwoSides

Json = dict[str, Any]
EHR = Authority(frozenset({"ehr"}), published())
CLINIC = Authority(frozenset({"clinic"}), published())
ENDS = Ends(BASES[Side.OURS], BASES[Side.THEIRS], {"Patient/ours": "Patient/theirs"})
NOW = datetime(2026, 3, 1, tzinfo=UTC)
RECIPIENT = "Organization/ehr"
ROLE = {"coding": [{"code": "IRCP"}]}


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "theirs", "meta": {"versionId": "1"}, **more}


def appointment(**more: Any) -> Json:
    who = [{"actor": {"reference": "Patient/theirs"}, "status": "accepted"}]
    return {"resourceType": "Appointment", "id": "a", "status": "booked", "participant": who, **more}


def whys(losses: Any) -> dict[str, str]:
    return {one.path: one.why for one in losses}


def test_each_element_has_one_owner_and_the_table_says_it_by_role() -> None:
    assert EHR.owner("Patient", "birthDate") is Side.THEIRS
    assert EHR.owner("Appointment", "start") is Side.OURS
    assert EHR.owner("Appointment", "comment") is Side.THEIRS
    assert CLINIC.owner("Consent", "status") is Side.THEIRS
    assert EHR.rule("Patient", "photo") is Rule.STAYS
    assert not EHR.may_create("Media", Side.THEIRS)
    assert EHR.deletes("Media", Side.OURS)
    assert not EHR.deletes("Media", Side.THEIRS)
    assert Side.OURS.other is Side.THEIRS


def test_a_copy_names_what_it_is_a_copy_of_and_nothing_of_it_is_invented() -> None:
    theirs = patient(name=[{"family": "A"}], photo=[{"url": "Binary/1"}], text={"status": "generated"})

    said = reconcile(theirs, None, None, ENDS, EHR)

    url = f"{BASES[Side.THEIRS]}/Patient/theirs"
    assert said.ours == {
        "resourceType": "Patient",
        "meta": {"source": url},
        "name": [{"family": "A"}],
        "identifier": [{"use": "secondary", "system": COPY_OF, "value": url}],
    }
    assert whys(said.losses) == {"Patient.photo": STAYS}
    assert said.theirs is None


def test_a_copy_of_a_copy_names_them_all_and_one_that_went_round_for_too_long_is_refused() -> None:
    known = [{"system": COPY_OF, "value": f"https://{place}.example/Patient/1"} for place in range(7)]

    said = reconcile(patient(identifier=known), None, None, ENDS, EHR)

    assert said.ours is not None
    assert len(origins(said.ours)) == 8
    with pytest.raises(UnusableError, match="too many"):
        reconcile(patient(identifier=[*known, known[0]]), None, None, ENDS, EHR)


def test_references_go_over_to_copies_else_by_identifier_or_words_else_not_at_all() -> None:
    actors = [
        {"actor": {"reference": "Patient/theirs"}, "status": "accepted"},
        {"actor": {"reference": f"{BASES[Side.THEIRS]}/Practitioner/7", "display": "Anaïs"}, "status": "accepted"},
        {"actor": {"reference": "Location/7"}, "status": "accepted"},
        {"actor": {"reference": "#room"}, "status": "accepted"},
    ]

    said = reconcile(appointment(participant=actors, slot=[{"reference": "Slot/1"}]), None, None, ENDS, EHR)

    assert said.ours is not None
    assert [one["actor"] for one in said.ours["participant"]] == [
        {"reference": "Patient/ours"},
        {"display": "Anaïs"},
        {"reference": "#room"},
    ]
    assert "slot" not in said.ours
    assert whys(said.losses).keys() == {"Appointment.participant.actor", "Appointment.slot"}


def test_an_appointment_that_loses_everybody_is_not_taken() -> None:
    lost = [{"actor": {"reference": "Patient/unknown"}, "status": "accepted"}]

    with pytest.raises(UnusableError, match="nobody"):
        reconcile(appointment(participant=lost), None, None, ENDS, EHR)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/2", "Patient/1"),
        (f"{BASES[Side.THEIRS]}/Patient/1", "Patient/1"),
        ("https://elsewhere.example/fhir/Patient/1", None),
        ("urn:uuid:1", None),
        ("#1", None),
        ("", None),
    ],
)
def test_a_literal_reference_is_one_of_that_server(text: str, found: str | None) -> None:
    assert literal(text, BASES[Side.THEIRS]) == found


def test_bytes_that_lie_on_a_server_are_not_pointed_to_from_another() -> None:
    crossing = Crossing(BASES[Side.OURS], {})

    over = crossing.over({"sourceAttachment": {"title": "Form", "url": "Binary/1"}, "a": [[1]], "b": [{"url": "x:y"}]})

    assert over == {"a": [[1]], "b": [{"url": "x:y"}]}
    assert crossing.lost == ["sourceAttachment"]
    assert list(named({"a": [{"reference": "Patient/1"}]}, "")) == ["Patient/1"]


def test_a_consent_from_elsewhere_is_proposed_here_and_stays_so() -> None:
    sides = TwoSides(CLINIC, {"Patient/ours": "Patient/theirs"})
    sides.put(Side.THEIRS, {"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/theirs"}})

    said = sides.round()
    again = sides.round()
    sides.put(Side.THEIRS, {**(sides.at[Side.THEIRS] or {}), "status": "inactive"})
    sides.round()

    assert said.ours is not None
    assert (said.ours["status"], said.ours["patient"]) == ("proposed", {"reference": "Patient/ours"})
    assert "Consent.status" in whys(said.losses)
    assert (again.ours, again.theirs) == (None, None)
    assert sides.seen(Side.OURS)["status"] == "inactive"


def test_a_rule_of_a_consent_that_would_lose_whom_it_names_is_refused() -> None:
    rule = {"type": "permit", "actor": [{"role": ROLE, "reference": {"reference": "Organization/1"}}]}
    ours = {"resourceType": "Consent", "id": "c", "status": "active", "provision": rule}

    with pytest.raises(UnusableError, match="rule"):
        reconcile(None, ours, None, ENDS, EHR)


def test_what_that_side_may_not_make_is_not_taken() -> None:
    assert whys(reconcile({"resourceType": "Media", "id": "m"}, None, None, ENDS, EHR).losses) == {"Media": NOT_TAKEN}


def test_the_owner_overrules_and_what_it_never_said_stays() -> None:
    sides = TwoSides()
    sides.put(Side.THEIRS, {"resourceType": "Patient", "birthDate": "1990"})
    sides.put(Side.OURS, {"resourceType": "Patient", "birthDate": "1970", "gender": "female"})

    first = sides.round()
    sides.put(Side.OURS, {**(sides.at[Side.OURS] or {}), "birthDate": "1971", "gender": "male"})
    second = sides.round()

    assert whys(first.losses) == {"Patient.birthDate": OVERRULED, "Patient.gender": NEVER_SAID}
    assert whys(second.losses) == {"Patient.birthDate": OVERRULED, "Patient.gender": NEVER_SAID}
    assert sides.seen(Side.OURS) == {"resourceType": "Patient", "birthDate": "1990", "gender": "male"}
    assert sides.seen(Side.THEIRS) == {"resourceType": "Patient", "birthDate": "1990"}


def test_what_the_owner_takes_away_goes_on_the_other_side_too_whoever_changed_it_there() -> None:
    sides = TwoSides()
    sides.put(Side.THEIRS, {"resourceType": "Patient", "gender": "female", "deceasedBoolean": False})
    sides.round()
    sides.put(Side.OURS, {**(sides.at[Side.OURS] or {}), "gender": "male"})
    sides.put(Side.THEIRS, {"resourceType": "Patient", "deceasedDateTime": "2026"})

    said = sides.round()

    assert sides.seen(Side.OURS) == {"resourceType": "Patient", "deceasedDateTime": "2026"}
    assert whys(said.losses) == {"Patient.gender": OVERRULED}


def test_numbers_are_joined_and_one_that_was_taken_away_does_not_come_back() -> None:
    one, other = {"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}
    sides = TwoSides()
    sides.put(Side.THEIRS, {"resourceType": "Patient", "identifier": [one, other]})
    sides.put(Side.OURS, {"resourceType": "Patient"})
    sides.round()
    before = sides.seen(Side.OURS)["identifier"]
    sides.put(Side.OURS, {"resourceType": "Patient", "identifier": [one]})

    sides.round()

    assert before == [one, other]
    assert (sides.seen(Side.OURS)["identifier"], sides.seen(Side.THEIRS)["identifier"]) == ([one], [one, other])


def test_a_label_goes_along_and_a_label_that_a_server_gives_by_itself_does_not() -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    sides = TwoSides()
    sides.put(Side.THEIRS, {"resourceType": "Patient", "meta": {"security": [label]}})
    sides.round()

    assert (sides.at[Side.OURS] or {})["meta"]["security"] == [label]


def test_national_numbers_come_as_far_as_they_may() -> None:
    ins, nhs = {"system": INS_NIR, "value": "1"}, {"system": NHS, "value": "9434765919"}
    wrong = {"system": NHS, "value": "9434765918"}
    numbers = [{"system": INS_NIR, "value": "255069999900162"}, nhs, wrong]

    said = reconcile(patient(identifier=numbers), None, None, ENDS, EHR)
    none = reconcile(patient(identifier=[ins]), None, None, ENDS, EHR)

    assert said.ours is not None
    assert [one["value"] for one in said.ours["identifier"][:-1]] == [nhs["value"]]
    assert [one.why for one in said.losses] == [NOT_QUALIFIED, NO_NUMBER]
    assert none.ours is not None
    assert len(none.ours["identifier"]) == 1


def test_what_was_deleted_on_one_side_is_let_go_of_and_a_photograph_goes() -> None:
    link = Link("Patient/ours", "Patient/theirs")

    kept = reconcile(patient(), None, link, ENDS, EHR)
    photo = reconcile({"resourceType": "Media", "id": "m"}, None, link, ENDS, EHR)

    assert (whys(kept.losses), kept.ended, kept.delete) == ({"Patient": DELETED}, True, None)
    assert (photo.delete, photo.ended) == (Side.THEIRS, True)
    assert reconcile(None, None, link, ENDS, EHR).ended
    assert reconcile(patient(), patient(), read(Link("a/1", "a/2", ended=True).written()), ENDS, EHR).ended


def test_elements_know_what_belongs_together_and_what_is_this_project_s_own() -> None:
    stamp = {"url": "urn:aesthetic-fhir-server:mappers:order", "valueString": "1|2|3|*"}
    one = {"resourceType": "Patient", "_birthDate": {"id": "a"}, "birthDate": "1990", "deceasedBoolean": False}

    found = elements({**one, "extension": [stamp], "text": {"status": "additional"}}, ("deceased",))
    new = placed({**one, "extension": [stamp], "text": {"status": "additional"}}, {"birthDate": None}, ("deceased",))
    grown = placed({**one, "extension": [stamp]}, {"extension": {"extension": [{"url": "x:y"}]}}, ())

    assert found == {
        "birthDate": {"_birthDate": {"id": "a"}, "birthDate": "1990"},
        "deceased": {"deceasedBoolean": False},
    }
    assert new.keys() == {"resourceType", "deceasedBoolean", "extension", "text"}
    assert grown["extension"] == [{"url": "x:y"}, stamp]


def test_who_is_the_same_is_known_by_a_number_alone() -> None:
    number = [{"system": "urn:a", "value": "1"}]
    one = patient(identifier=number, birthDate="1990", telecom=[{"value": "a@b.example"}])

    assert same(one, [patient(identifier=number)]) == patient(identifier=number)
    assert same(one, [patient(telecom=one["telecom"], birthDate="1990")]) is None
    assert query(patient(identifier=[{"use": "old", **number[0]}])) is None
    for doubtful in ([patient(identifier=number, birthDate="1991")], [patient(identifier=number)] * 2):
        with pytest.raises(UnusableError):
            same(one, doubtful)


def decided(decision: str, who: str = RECIPIENT) -> Json:
    parts = [{"name": "who", "valueString": who}, {"name": "decision", "valueCode": decision}]
    return {"resourceType": "Parameters", "parameter": [{"name": "decided", "part": parts}]}


def consent(end: str | None = None, **more: Any) -> Json:
    rule: Json = {"type": "permit", "purpose": [{"code": "care-photography"}]}
    rule["actor"] = [{"role": ROLE, "reference": {"reference": RECIPIENT}}]
    if end:
        rule["period"] = {"end": end}
    return {"resourceType": "Consent", "status": "active", "provision": {**rule, **more}}


@pytest.mark.parametrize("end", [None, "2026", "2026-03", "2026-03-01", "2026-03-01T01:00:00Z"])
def test_a_photograph_goes_where_a_consent_in_force_names_the_other_side(end: str | None) -> None:
    assert permits(decided("permit"), [consent(end)], RECIPIENT, NOW)


@pytest.mark.parametrize(
    ("said", "consents"),
    [
        (decided("deny"), [consent()]),
        (decided("permit", "practitioner"), [consent()]),
        ({}, [consent()]),
        (decided("permit"), []),
        (decided("permit"), [{**consent(), "status": "inactive"}]),
        (decided("permit"), [consent(actor=[])]),
        (decided("permit"), [consent(actor=[{"role": {"coding": []}, "reference": {"reference": RECIPIENT}}])]),
        (decided("permit"), [consent(purpose=[{"code": "marketing"}])]),
        (decided("permit"), [consent(type="deny")]),
        (decided("permit"), [consent("2026-02-28")]),
        (decided("permit"), [consent("2025")]),
        (decided("permit"), [consent("2026-03-01T00:00:00Z")]),
    ],
)
def test_a_photograph_stays_everywhere_else(said: Json, consents: list[Json]) -> None:
    assert not permits(said, consents, RECIPIENT, NOW)
