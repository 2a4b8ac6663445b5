from decimal import Decimal

import pytest

from fhir_server.fhir.data import read
from fhir_server.fhir.elements import children
from fhir_server.fhir.invariants import LEFT_OUT, invariant
from fhir_server.fhir.invariants.grammar import NotCompiledError, compiled
from fhir_server.fhir.invariants.moments import order
from fhir_server.fhir.invariants.navigation import child
from fhir_server.fhir.scope import Scope
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.json import Json
from tests.unit.fhir.test_validation import issues

APPOINTMENT: Json = {
    "resourceType": "Appointment",
    "status": "booked",
    "start": "2026-03-01T10:00:00Z",
    "end": "2026-03-01T10:30:00Z",
    "participant": [{"actor": {"reference": "Patient/7"}, "status": "accepted"}],
}
CONSENT: Json = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"text": "x"},
    "category": [{"text": "x"}],
    "policyRule": {"text": "x"},
}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}}
BUNDLE: Json = {"resourceType": "Bundle", "type": "collection"}
QUESTIONNAIRE: Json = {"resourceType": "Questionnaire", "status": "draft"}
PATIENT: Json = {"resourceType": "Patient"}
TASK: Json = {"resourceType": "Task", "status": "draft", "intent": "plan"}
BASIC: Json = {"resourceType": "Basic", "code": {"text": "x"}}


PROFILE: Json = {
    "resourceType": "StructureDefinition",
    "url": "urn:x",
    "name": "X",
    "status": "draft",
    "kind": "resource",
    "abstract": False,
    "type": "A",
    "baseDefinition": "urn:a",
}


def profile(*elements: Json) -> Json:
    return PROFILE | {"differential": {"element": [{"id": each["path"], **each} for each in elements]}}


def extension(**value: object) -> Json:
    return BASIC | {"extension": [{"url": "urn:x", **value}]}


BROKEN = [
    ("app-1", APPOINTMENT | {"participant": [{"status": "accepted"}]}),
    ("app-2", APPOINTMENT | {"status": "proposed"} | {"end": None}),
    ("app-3", APPOINTMENT | {"start": None, "end": None}),
    ("app-4", APPOINTMENT | {"cancelationReason": {"text": "x"}}),
    ("ppc-1", CONSENT | {"policyRule": None}),
    ("per-1", extension(valuePeriod={"start": "2026-02-01", "end": "2026-01"})),
    ("per-1", extension(valuePeriod={"start": "2026-01-01T12:00:00+02:00", "end": "2026-01-01T09:59:59Z"})),
    ("qty-3", extension(valueQuantity={"code": "m"})),
    ("rng-2", extension(valueRange={"low": {"value": 2}, "high": {"value": 1}})),
    ("rat-1", extension(valueRatio={"numerator": {"value": 2}})),
    ("age-1", extension(valueAge={"value": 1})),
    ("age-1", extension(valueAge={"value": -1, "code": "a", "system": "http://unitsofmeasure.org"})),
    ("att-1", PATIENT | {"photo": [{"data": "QUJD"}]}),
    ("cpt-2", PATIENT | {"telecom": [{"value": "1"}]}),
    ("pat-1", PATIENT | {"contact": [{"gender": "male"}]}),
    ("org-1", {"resourceType": "Organization", "active": True}),
    ("org-2", {"resourceType": "Organization", "name": "x", "address": [{"use": "home"}]}),
    ("obs-6", OBSERVATION | {"valueString": "x", "dataAbsentReason": {"text": "x"}}),
    ("obs-7", OBSERVATION | {"valueString": "x", "component": [{"code": {"coding": [{"code": "a"}]}}]}),
    ("obs-3", OBSERVATION | {"referenceRange": [{"type": {"text": "x"}}]}),
    ("ref-1", OBSERVATION | {"subject": {"reference": "#nobody"}}),
    ("bdl-1", BUNDLE | {"total": 3}),
    ("bdl-3", BUNDLE | {"type": "batch", "entry": [{"resource": PATIENT}]}),
    ("bdl-5", BUNDLE | {"entry": [{"fullUrl": "urn:uuid:1"}]}),
    ("bdl-7", BUNDLE | {"entry": [{"fullUrl": "urn:uuid:1", "resource": PATIENT}] * 2}),
    ("bdl-8", BUNDLE | {"entry": [{"fullUrl": "http://x/Patient/1/_history/2", "resource": PATIENT}]}),
    ("bdl-9", BUNDLE | {"type": "document", "timestamp": "2026-01-01T00:00:00Z"}),
    ("bdl-11", BUNDLE | {"type": "document", "entry": [{"resource": PATIENT}]}),
    ("que-2", QUESTIONNAIRE | {"item": [{"linkId": "1", "type": "display"}] * 2}),
    ("que-7", QUESTIONNAIRE | {"item": [{"linkId": "1", "type": "string", "enableWhen": [
        {"question": "2", "operator": "exists", "answerString": "x"}
    ]}]}),
    ("inv-1", TASK | {"authoredOn": "2026-01-02T00:00:00Z", "lastModified": "2026-01-01T00:00:00Z"}),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "x"}]}),
    ("tim-9", extension(valueTiming={"repeat": {"offset": 3, "when": ["C"]}})),
    ("cnt-3", extension(valueCount={"value": 1, "code": "x", "system": "http://unitsofmeasure.org"})),
    ("cnt-3", extension(valueCount={"value": Decimal("1.5"), "code": "1", "system": "http://unitsofmeasure.org"})),
    ("eld-2", profile({"path": "A", "min": 2, "max": "1"})),
    ("eld-3", profile({"path": "A", "max": "-1"})),
    ("eld-16", profile({"path": "A", "sliceName": "a b"})),
    ("sdf-8a", profile({"path": "A"}, {"path": "B.x"})),
    ("con-4", {"resourceType": "Condition", "subject": {"display": "x"}, "abatementDateTime": "2026"}),
    ("sev-1", {"resourceType": "AuditEvent", "type": {"code": "x"}, "recorded": "2026-01-01T00:00:00Z", "agent": [
        {"requestor": True}], "source": {"observer": {"display": "x"}}, "entity": [{"name": "x", "query": "QUJD"}]}),
]  # fmt: skip


def present(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if value is not None}


@pytest.mark.parametrize(("key", "resource"), BROKEN, ids=[key for key, _ in BROKEN])
def test_a_broken_invariant_is_named(key: str, resource: Json) -> None:
    found = issues(present(resource))

    assert [each.code for each in found if each.diagnostics.startswith(f"{key}: ")] == ["invariant"]


@pytest.mark.parametrize(
    "resource",
    [
        APPOINTMENT,
        present(APPOINTMENT | {"status": "proposed", "start": None, "end": None}),
        APPOINTMENT | {"status": "noshow"},
        CONSENT,
        OBSERVATION | {"focus": [{"reference": "#"}]},
        extension(valuePeriod={"start": "2026-01-31", "end": "2026-01"}),
        extension(valuePeriod={"start": "2026-01-01", "end": "2025-12-31T23:00:00-05:00"}),
        extension(valuePeriod={"start": "2026-01-01T12:00:00+02:00", "end": "2026-01-01T10:00:00Z"}),
        extension(valuePeriod={"_start": {"extension": [{"url": "urn:x", "valueCode": "x"}]}, "end": "2026"}),
        extension(valueCount={"value": 1, "code": "1", "system": "http://unitsofmeasure.org"}),
        extension(valueCount={"value": 10**30, "code": "1", "system": "http://unitsofmeasure.org"}),
        extension(valueRange={"low": {"value": 2, "unit": "cm"}, "high": {"value": 1, "unit": "m"}}),
        BUNDLE | {"type": "searchset", "total": 3},
        QUESTIONNAIRE | {"item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "display"}]}]},
        profile({"path": "A", "min": 0, "max": "*"}, {"path": "A.x", "max": "1", "sliceName": "a"}),
        TASK | {"authoredOn": "2026-01-02", "lastModified": "2026-01-02T10:00:00Z"},
    ],
)
def test_what_keeps_the_invariants_or_cannot_be_told_passes(resource: Json) -> None:
    assert issues(resource) == []


def test_every_error_of_r4_is_compiled_or_left_out_for_a_reason() -> None:
    errors = [name.split(" ") for name, each in read("invariants").items() if each["severity"] == "error"]
    silent = {key for owner, key in errors if invariant(owner, key) is None}

    assert silent == LEFT_OUT.keys()
    assert len(errors) - len(silent) == 194


def test_names_without_types_lead_where_names_with_types_lead() -> None:
    for type_name in read("types"):
        for name, elements in children(type_name).items():
            item = {element.json_name: index for index, element in enumerate(elements)}
            for other in children(type_name):
                found = child(other, lambda items, _: items)([item], Scope.of({}))
                assert sorted(found) == (sorted(item.values()) if other == name else []), (type_name, name, other)


def test_a_resource_that_makes_the_invariants_compare_each_with_each_is_refused_in_time() -> None:
    codes = [{"code": str(number)} for number in range(4000)]
    resource = OBSERVATION | {"code": {"coding": codes}, "valueString": "x"}

    with pytest.raises(TooCostlyError):
        validate(resource | {"component": [{"code": {"text": "x"}}] * 4000})


@pytest.mark.parametrize(
    ("operator", "left", "decided"), [("or", True, True), ("and", False, False), ("implies", False, True)]
)
def test_what_the_left_side_settles_is_not_asked_of_the_right_side(operator: str, left: bool, decided: bool) -> None:  # noqa: FBT001  a value of the JSON
    asked, alone = Scope.of({}), Scope.of({})
    for right in (True, False, None):
        item = {"a": left} if right is None else {"a": left, "b": right}
        assert compiled(f"a {operator} b")([item], asked) == [decided]
        compiled("a")([item], alone)

    assert asked.steps == alone.steps


@pytest.mark.parametrize(
    ("operator", "table"),
    [
        ("or", {(False, True): True, (False, False): False, (None, True): True}),
        ("and", {(True, True): True, (True, False): False, (None, False): False}),
        ("implies", {(True, True): True, (True, False): False, (None, True): True}),
    ],
)
def test_what_the_left_side_leaves_open_the_right_side_decides(
    operator: str, table: dict[tuple[bool | None, bool], bool]
) -> None:
    for (left, right), decided in table.items():
        item = {"b": right} if left is None else {"a": left, "b": right}
        assert compiled(f"a {operator} b")([item], Scope.of({})) == [decided]


@pytest.mark.parametrize("text", ["a.nope()", "%vs", "a ! b", "(a", "a b", "'a", "1 +"])
def test_what_the_grammar_does_not_know_is_refused_when_compiled(text: str) -> None:
    with pytest.raises((NotCompiledError, IndexError)):
        compiled(text)


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("2026", "2027", -1),
        ("2026", "2026", 0),
        ("2026", "2026-01", None),
        ("2026-02", "2026-01-31", 1),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", 0),
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.2Z", -1),
        ("2026-01-01T23:59:60Z", "2026-01-02T00:00:00Z", -1),
        ("2026-01-01T12:00:00Z", "2026-01-01", None),
        ("2026-01-01T12:00:00Z", "2026-01-03", -1),
        ("2026-01-03", "2026-01-01T12:00:00Z", 1),
        ("2026-01-05T12:00:00Z", "2026-01-03", 1),
        ("2026-01-05T12:00:00Z", "2026", None),
        ("0001-01-01T00:00:00+14:00", "0001", None),
        ("9999-12-31T23:59:59-14:00", "9999", None),
    ],
)
def test_moments_are_compared_as_far_as_their_precision_tells(left: str, right: str, wanted: int | None) -> None:
    assert order(left, right) == wanted
