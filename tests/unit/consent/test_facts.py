"""What restrictions look at: authors, times, references, labels."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fhir_server.consent.decision import decide
from fhir_server.consent.facts import Facts, facts_of
from fhir_server.consent.labels import of_labels, sensitivities, stated_confidentiality
from fhir_server.consent.match import Match
from fhir_server.consent.matter import is_evidence, is_photo, is_proof
from fhir_server.consent.period import is_over, within
from fhir_server.consent.provision import of_data
from fhir_server.consent.question import Deny, Matter, Permit, Reason
from fhir_server.consent.terms import ANONYMISATION, CHANNEL
from fhir_server.engine.classification import RECEIPT_SYSTEM, SIGNED_FORM
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import NOON, PHOTO, ask, consent, head, rule

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SURGEON, NURSE = ResourceKey("Practitioner", "s"), ResourceKey("Practitioner", "n")


def labelled(*codes: str) -> Json:
    system = {code: CONFIDENTIALITY if len(code) == 1 else ACT_CODE for code in codes}
    return {"resourceType": "Observation", "meta": {"security": [{"system": system[c], "code": c} for c in codes]}}


@pytest.mark.parametrize(
    ("resource", "authors"),
    [
        ({"resourceType": "Observation", "performer": [{"reference": "Practitioner/s"}]}, {SURGEON}),
        ({"resourceType": "Observation", "performer": [{"display": "Somebody"}]}, {None}),
        ({"resourceType": "Observation"}, None),
        ({"resourceType": "Patient"}, set()),
        (
            {
                "resourceType": "Procedure",
                "recorder": {"reference": "Practitioner/n"},
                "performer": [{"actor": {"reference": "Practitioner/s"}}],
            },
            {SURGEON, NURSE},
        ),
        ({"resourceType": "Procedure", "performer": ["x"], "recorder": {"actor": 7}}, {None}),
    ],
)
def test_authors_are_authors_whatever_the_type(resource: Json, authors: Any) -> None:
    assert facts_of(resource).authors == authors


@pytest.mark.parametrize(
    ("resource", "when"),
    [
        ({"resourceType": "Observation", "effectiveDateTime": "2022", "issued": "2023-01-01T00:00:00Z"}, ("2022",)),
        ({"resourceType": "Observation", "issued": "2023-01-01T00:00:00Z"}, ("2023-01-01T00:00:00Z",)),
        ({"resourceType": "Encounter", "period": {"start": "2022"}}, ({"start": "2022"},)),
        ({"resourceType": "Media", "createdDateTime": "2022-03"}, ("2022-03",)),
        ({"resourceType": "Patient", "birthDate": "1980-01-01"}, ()),
    ],
)
def test_the_time_is_that_of_what_the_data_is_about(resource: Json, when: Any) -> None:
    assert facts_of(resource).when == when


@pytest.mark.parametrize(
    ("type", "element"),
    [
        ("DocumentReference", "author"),
        ("Observation", "performer"),
        ("Condition", "recorder"),
        ("Condition", "asserter"),
        ("Media", "operator"),
        ("ServiceRequest", "requester"),
        ("MedicationStatement", "informationSource"),
        ("Communication", "sender"),
    ],
)
def test_an_author_is_known_by_each_of_the_names_that_r4_has(type: str, element: str) -> None:
    assert facts_of({"resourceType": type, element: {"reference": "Practitioner/s"}}).authors == frozenset({SURGEON})
    assert facts_of({"resourceType": type}).authors is None
    functional = {"function": {"text": "assists"}, "individual": {"reference": "Practitioner/n"}}
    assert facts_of({"resourceType": type, element: [functional, {"actor": {}}]}).authors == frozenset({NURSE, None})


TIMES = {
    "effectiveDateTime": "Observation",
    "onsetDateTime": "Condition",
    "performedDateTime": "Procedure",
    "occurrenceDateTime": "ServiceRequest",
    "occurredDateTime": "Provenance",
    "period": "Encounter",
    "started": "ImagingStudy",
    "date": "DocumentReference",
    "created": "Appointment",
    "whenHandedOver": "MedicationDispense",
    "dateTime": "Consent",
    "authoredOn": "Task",
    "authored": "QuestionnaireResponse",
    "recordedDate": "AllergyIntolerance",
    "issued": "DiagnosticReport",
    "recorded": "Provenance",
    "sent": "Communication",
}


@pytest.mark.parametrize(("element", "type"), TIMES.items())
def test_a_time_is_known_by_each_of_the_names_that_r4_has(element: str, type: str) -> None:
    assert facts_of({"resourceType": type, element: "2022"}).when == ("2022",)


@pytest.mark.parametrize(
    ("times", "match"),
    [
        (("2022-06",), Match.YES),
        (("2022",), Match.YES),
        (("2021-12-31",), Match.NO),
        (("2023-01-01",), Match.NO),
        (({"start": "2021-12-01", "end": "2022-02-01"},), Match.UNSURE),
        (({"start": "2022-02-01"},), Match.UNSURE),
        ((), Match.UNSURE),
        (("soon",), Match.UNSURE),
        (("2022-06", "2022-07"), Match.YES),
        (("2022-06", "2021"), Match.UNSURE),
        (("2021", "2023"), Match.NO),
    ],
)
def test_what_happened_lies_in_a_period_wholly_not_at_all_or_nobody_knows(times: Any, match: Match) -> None:
    assert within({"start": "2022-01-01", "end": "2022-12-31"}, times, NOON.tzinfo) is match
    assert within("no period", times, NOON.tzinfo) is Match.UNSURE
    assert within({"start": "2022"}, times, None) is Match.UNSURE


def test_a_period_is_over_when_its_end_has_surely_passed() -> None:
    assert is_over({"end": "2026-03-13"}, NOON)
    for going_on in ({"end": "2026-03-14"}, {"start": "2020"}, {"end": "soon"}, None, "x"):
        assert not is_over(going_on, NOON)
    assert not is_over({"end": "2020"}, NOON.replace(tzinfo=None))
    assert is_over({"end": "2026-03-14T11:59:59Z"}, NOON)
    assert not is_over({"end": "2026-03-14T12:00:00Z"}, NOON)


@pytest.mark.parametrize(
    ("codes", "confidentiality"),
    [
        ((), "N"),
        (("N",), "N"),
        (("L",), "L"),
        (("U",), "U"),
        (("U", "L"), "L"),
        (("L", "M"), "M"),
        (("M", "N"), "N"),
        (("R", "V"), "V"),
        (("N", "V"), "V"),
        (("PSY",), "R"),
        (("N", "HIV"), "R"),
        (("V", "HIV"), "V"),
        (("Q",), "V"),
        (("ENCRYPT",), "N"),
    ],
)
def test_r_pcf_014_unlabelled_is_normal_and_sensitive_is_restricted(codes: Any, confidentiality: str) -> None:
    assert facts_of(labelled(*codes)).confidentiality == confidentiality


@pytest.mark.parametrize(
    "code",
    [
        *("ETH", "ETHUD", "OPIOIDUD", "SUD", "GDIS", "HIV", "MST", "SCA", "SDV", "SEX", "SPI", "BH", "COGN", "DVD"),
        *("EMOTDIS", "MH", "PSY", "PSYTHPN", "STD", "TBOO", "VIO", "SICKLE", "DV", "IDSV", "SA", "SB", "SEXREPRO"),
    ],
)
def test_r_pcf_014_each_policy_on_sensitive_information_makes_it_restricted(code: str) -> None:
    facts = facts_of(labelled(code))

    assert (facts.sensitivities, facts.confidentiality) == (frozenset({code}), "R")
    assert not facts_of({"meta": {"security": [{"system": "urn:x", "code": code}]}}).sensitivities


@pytest.mark.parametrize(
    ("meta", "confidentiality"),
    [("x", "N"), ({}, "N"), ({"security": ["R"]}, "N"), ({"security": [{"system": CONFIDENTIALITY}]}, "V")],
)
def test_what_is_no_label_says_nothing_and_one_without_a_code_all(meta: Any, confidentiality: str) -> None:
    resource = {"resourceType": "Observation", "meta": meta}

    assert (stated_confidentiality(resource), sensitivities(resource)) == (confidentiality, frozenset())


def said(kind: str, labels: Any, *codes: str) -> Match:
    facts = facts_of(labelled(*codes))
    return of_labels({"type": kind, "securityLabel": labels}, facts.confidentiality, facts.sensitivities)


def label(code: str) -> Json:
    found: Json = labelled(code)["meta"]["security"][0]
    return found


def test_a_permission_speaks_of_its_level_and_a_refusal_of_all_above() -> None:
    assert [said("permit", [label("N")], code) for code in ("L", "N", "R", "V")] == [2, 2, 0, 0]
    assert [said("deny", [label("R")], code) for code in ("N", "R", "V")] == [0, 2, 2]
    assert said("permit", [label("PSY")], "R", "PSY") is Match.YES
    assert said("permit", [label("PSY")], "R", "PSY", "SDV") is Match.NO
    assert said("deny", [label("PSY")], "R", "PSY", "SDV") is Match.YES
    for others in ((), ("V",), ("R", "SDV")):
        assert said("deny", [label("PSY")], *others) is said("permit", [label("PSY")], *others) is Match.NO
    for unknown in ({"system": "x", "code": "y"}, {"code": "R"}, label("ENCRYPT"), label("Q")):
        assert said("permit", [unknown], "N") is said("deny", [unknown], "N") is Match.UNSURE
    for crooked in ("R", ["R"], None):
        assert said("permit", crooked, "N") is Match.UNSURE
    assert of_labels({"type": "permit", "securityLabel": [label("N")]}, None, frozenset()) is Match.UNSURE


def datum(meaning: str, reference: str) -> Json:
    return {"data": [{"meaning": meaning, "reference": {"reference": reference}}]}


def test_data_by_what_names_it_and_by_who_wrote_it() -> None:
    facts = Facts(frozenset({SURGEON}), frozenset({ResourceKey("Encounter", "e")}))

    assert of_data(datum("related", "Encounter/e"), PHOTO, facts) is Match.YES
    assert of_data(datum("related", str(PHOTO)), PHOTO, facts) is Match.YES
    assert of_data(datum("related", "Encounter/x"), PHOTO, facts) is Match.NO
    assert of_data(datum("authoredby", "Practitioner/s"), PHOTO, facts) is Match.YES
    assert of_data(datum("authoredby", "Practitioner/n"), PHOTO, facts) is Match.NO
    assert of_data(datum("authoredby", "Practitioner/n"), PHOTO, Facts(frozenset())) is Match.NO
    assert of_data(datum("authoredby", "Practitioner/n"), PHOTO, Facts(frozenset({None}))) is Match.UNSURE
    assert of_data(datum("authoredby", "Practitioner/n"), PHOTO, Facts()) is Match.UNSURE
    assert of_data(datum("dependents", "Encounter/e"), PHOTO, facts) is Match.UNSURE
    assert of_data({"data": ["x"]}, PHOTO, facts) is Match.UNSURE
    assert of_data({"data": []}, PHOTO, facts) is Match.UNSURE


def test_of_what_kind_a_resource_is() -> None:
    form: Json = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "urn:aesthetic-fhir-server:form:care|2026-01",
    }
    paper: Json = {
        "resourceType": "DocumentReference",
        "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": SIGNED_FORM}]},
    }

    assert all(is_proof(one) for one in (form, paper))
    for type in ("AuditEvent", "Consent", "Provenance", "Task"):
        assert is_proof({"resourceType": type})
        assert is_evidence({"resourceType": type}) is (type != "Task")
    assert not is_proof({"resourceType": "QuestionnaireResponse", "questionnaire": "https://x.example/history"})
    assert not is_proof({"resourceType": "DocumentReference"})
    assert is_photo({"resourceType": "Media", "content": {"url": "Binary/1"}})
    assert not is_photo({"resourceType": "Media", "content": {"url": "https://x.example/1"}})
    assert not is_photo({"resourceType": "Observation"})


def channelled(*channels: str, kind: str = "permit", level: str | None = None) -> Json:
    extensions = [{"url": CHANNEL, "valueCode": channel} for channel in channels]
    masked = [{"url": ANONYMISATION, "valueCode": level}] if level else []
    return consent(rule(kind, "photo-social"), extension=[*extensions, *masked])


def test_s76_s78_where_and_how_count_as_much_as_what_for() -> None:
    def decided(given: Json, **more: Any) -> Permit | Deny:
        return decide(ask(purpose="photo-social", **more), [given], head([given]))

    insta = channelled("instagram", level="eyes-masked")
    assert isinstance(decided(insta, channel="instagram", rendition=1), Permit)
    assert isinstance(decided(insta, channel="instagram", rendition=3), Permit)
    assert isinstance(decided(channelled("instagram", level="identifiable"), channel="instagram"), Permit)
    assert decided(insta, channel="tiktok", rendition=1) == Deny(Reason.OTHER_CHANNEL)
    assert decided(insta, channel="instagram") == Deny(Reason.NOT_ANONYMISED)
    assert decided(insta, rendition=1) == Deny(Reason.NOT_UNDERSTOOD)
    assert decided(channelled("instagram", level="odd"), channel="instagram") == Deny(Reason.NOT_UNDERSTOOD)
    refusal = channelled("tiktok", kind="deny")
    assert decided(refusal, channel="instagram") == Deny(Reason.OTHER_CHANNEL)
    for channel in ("tiktok", None):
        assert isinstance(answer := decided(refusal, channel=channel), Deny)
        assert answer.reason is Reason.REFUSED


def test_t99_a_photo_is_taken_after_its_consent() -> None:
    given = consent(rule("permit", "care-photography"), dateTime="2026-03-14T10:00:00Z")

    def decided(created: str | None, *, taking: bool = True) -> Permit | Deny:
        facts = Facts(when=(created,) if created else ())
        return decide(ask(facts=facts, taking=taking), [given], head([given]))

    assert decided("2026-03-14T09:59:59Z") == Deny(Reason.TAKEN_BEFORE)
    assert decided("2026-03-13") == Deny(Reason.TAKEN_BEFORE)
    assert isinstance(decided("2026-03-14"), Permit)
    assert isinstance(decided("2026-03-14T10:00:00Z"), Permit)
    assert isinstance(decided(None), Permit)
    assert isinstance(decided("2026-03-13", taking=False), Permit)


def test_t99_the_day_of_a_consent_is_one_at_the_clinic_and_an_import_is_older() -> None:
    given = consent(rule("permit", "care-photography"), dateTime="2026-03-15")
    east = NOON.astimezone(timezone(timedelta(hours=14)))

    def decided(instant: datetime, *, imported: bool = False) -> Permit | Deny:
        facts = Facts(when=("2026-03-14T10:30:00Z",), imported=imported)
        return decide(ask(facts=facts, taking=True, instant=instant), [given], head([given]))

    assert isinstance(decided(east), Permit)
    assert decided(NOON) == Deny(Reason.TAKEN_BEFORE)
    assert isinstance(decided(NOON, imported=True), Permit)


def test_the_matter_has_three_kinds() -> None:
    assert {str(matter) for matter in Matter} == {"photo", "record", "proof"}
