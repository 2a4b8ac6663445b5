"""FHIRPath Patch, operation by operation: https://hl7.org/fhir/R4/fhirpatch.html."""

from copy import deepcopy
from typing import Any

import pytest

from fhir_server.engine.patch import fhirpath_patch
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import FhirError, InvalidRequestError, UnprocessableError
from fhir_server.kernel.json import Json

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "7",
    "active": True,
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2", "use": "official"}],
    "name": [{"use": "official", "family": "Çelik", "given": ["Ada", "Mine"]}, {"use": "usual", "text": "Ada"}],
    "birthDate": "1980-05-02",
    "contact": [{"name": {"text": "Ali"}, "gender": "male"}],
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "height"},
    "valueQuantity": {"value": 1, "unit": "m"},
    "component": [{"code": {"text": "x"}, "valueString": "a"}, {"code": {"text": "y"}, "valueInteger": 2}],
}
URL = "urn:example:why"


def operation(kind: str, path: str, value: Json | None = None, **more: Any) -> Json:
    """An operation as Parameters write it; `value` is what stands beside the part's name."""
    numbers = {name: {"valueInteger": each} for name, each in more.items() if name != "name"}
    parts = {"type": {"valueCode": kind}, "path": {"valueString": path}, **numbers}
    if "name" in more:
        parts["name"] = {"valueString": more["name"]}
    if value is not None:
        parts["value"] = value
    return {"name": "operation", "part": [{"name": name, **part} for name, part in parts.items()]}


def parameters(*operations: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def patched(*operations: Json, resource: Json = PATIENT) -> Json:
    """The outcome, which is valid as the resource was."""
    validate(resource)
    before = deepcopy(resource)
    after = fhirpath_patch(parameters(*operations))(resource)

    assert resource == before
    assert after is not None
    validate(after)
    return after


def refused(*operations: Json, resource: Json = PATIENT) -> FhirError:
    before = deepcopy(resource)
    with pytest.raises(FhirError) as caught:
        fhirpath_patch(parameters(*operations))(resource)
    assert resource == before
    return caught.value


def without(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


def test_no_operations_change_nothing() -> None:
    assert fhirpath_patch({"resourceType": "Parameters"})(PATIENT) is None
    assert fhirpath_patch(parameters())(PATIENT) is None


def test_add_replace_and_delete_a_primitive() -> None:
    female = {"valueCode": "female"}

    assert patched(operation("add", "Patient", female, name="gender")) == {**PATIENT, "gender": "female"}
    assert patched(operation("replace", "Patient.birthDate", {"valueDate": "1981"}))["birthDate"] == "1981"
    assert patched(operation("delete", "Patient.birthDate")) == without(PATIENT, "birthDate")
    assert patched(operation("replace", "Patient.contact[0].gender", female))["contact"][0]["gender"] == "female"
    assert patched(operation("delete", "Patient.contact[0].gender"))["contact"] == [{"name": {"text": "Ali"}}]


def test_add_replace_and_delete_a_complex_element() -> None:
    married, single = {"text": "married"}, {"id": "2", "text": "single"}
    added = patched(operation("add", "Patient", {"valueCodeableConcept": married}, name="maritalStatus"))

    assert added == {**PATIENT, "maritalStatus": married}
    path = "Patient.maritalStatus"
    assert patched(operation("replace", path, {"valueCodeableConcept": single}), resource=added) == {
        **PATIENT,
        "maritalStatus": single,
    }
    assert patched(operation("delete", path), resource=added) == PATIENT


def test_add_appends_to_a_list_and_begins_one() -> None:
    identifier = {"system": "urn:c", "value": "3"}
    add = operation("add", "Patient", {"valueIdentifier": identifier}, name="identifier")

    assert patched(add)["identifier"] == [*PATIENT["identifier"], identifier]
    assert patched(add, resource=without(PATIENT, "identifier"))["identifier"] == [identifier]
    given = operation("add", "Patient.name[1]", {"valueString": "Su"}, name="given")
    assert patched(given)["name"][1]["given"] == ["Su"]


def test_a_type_without_a_name_is_made_of_parts() -> None:
    parts = {
        "part": [
            {"name": "name", "valueHumanName": {"text": "Su"}},
            {"name": "relationship", "valueCodeableConcept": {"text": "friend"}},
            {"name": "gender", "valueCode": "female"},
            {"name": "relationship", "valueCodeableConcept": {"text": "neighbour"}},
        ]
    }
    contact = {
        "name": {"text": "Su"},
        "relationship": [{"text": "friend"}, {"text": "neighbour"}],
        "gender": "female",
    }

    assert patched(operation("add", "Patient", parts, name="contact"))["contact"] == [*PATIENT["contact"], contact]
    assert patched(operation("insert", "Patient.contact", parts, index=0))["contact"][0] == contact
    assert patched(operation("replace", "Patient.contact[0]", parts))["contact"] == [contact]


def test_parts_nest_and_choose_the_type_of_a_choice() -> None:
    inner = {"part": [{"name": "url", "valueUri": "b"}, {"name": "value", "valueDateTime": "2026"}]}
    outer = {"part": [{"name": "url", "valueString": URL}, {"name": "extension", **inner}]}
    after = patched(operation("add", "Patient", outer, name="extension"))

    assert after["extension"] == [{"url": URL, "extension": [{"url": "b", "valueDateTime": "2026"}]}]


def test_a_resource_is_contained_as_a_resource() -> None:
    organization = {"resourceType": "Organization", "id": "a", "name": "Clinic"}
    after = patched(
        operation("add", "Patient", {"resource": organization}, name="contained"),
        operation("add", "Patient", {"valueReference": {"reference": "#a"}}, name="managingOrganization"),
        operation("replace", "Patient.contained.where(id = 'a').ofType(Organization).name", {"valueString": "New"}),
    )

    assert after["contained"] == [{**organization, "name": "New"}]


@pytest.mark.parametrize(("index", "order"), [(0, "312"), (1, "132"), (2, "123")])
def test_insert_puts_an_item_before_the_one_at_the_index(index: int, order: str) -> None:
    value = {"valueIdentifier": {"system": "urn:c", "value": "3"}}
    after = patched(operation("insert", "Patient.identifier", value, index=index))

    assert "".join(each["value"] for each in after["identifier"]) == order


def test_insert_begins_a_list_at_0_and_nowhere_else() -> None:
    value = {"valueContactPoint": {"value": "1"}}

    assert patched(operation("insert", "telecom", {"valueContactPoint": {"value": "1", "system": "sms"}}, index=0))
    assert refused(operation("insert", "Patient.telecom", value, index=1)).status == 422
    assert (
        refused(operation("insert", "Patient.identifier", {"valueIdentifier": {"value": "3"}}, index=3)).status == 422
    )


@pytest.mark.parametrize(
    ("moves", "order"),
    [
        ([(3, 1)], "1423"),
        ([(3, 0)], "4123"),
        ([(3, 2)], "1243"),
        ([(0, 3)], "2341"),
        ([(1, 0), (2, 1)], "2314"),
        ([(3, 0), (3, 1), (3, 2)], "4321"),
        ([(2, 2)], "1234"),
    ],
)
def test_move_takes_an_item_out_and_puts_it_in_at_its_new_index(moves: list[tuple[int, int]], order: str) -> None:
    resource = {**PATIENT, "identifier": [{"value": each} for each in "1234"]}
    operations = [operation("move", "Patient.identifier", source=one, destination=other) for one, other in moves]

    assert "".join(each["value"] for each in patched(*operations, resource=resource)["identifier"]) == order


@pytest.mark.parametrize(("source", "destination"), [(2, 0), (0, 2), (9, 9)])
def test_move_stays_within_the_list(source: int, destination: int) -> None:
    assert refused(operation("move", "Patient.identifier", source=source, destination=destination)).status == 422


@pytest.mark.parametrize(
    ("path", "left"), [("[0]", "2"), (".first()", "2"), (".last()", "1"), (".where(use = 'official')", "1")]
)
def test_delete_takes_one_item_out_of_a_list(path: str, left: str) -> None:
    assert [each["value"] for each in patched(operation("delete", f"Patient.identifier{path}"))["identifier"]] == [left]


def test_deleting_what_is_not_there_is_no_error() -> None:
    for path in (
        "Patient.gender",
        "Patient.identifier[7]",
        "Patient.name.where(use = 'old').given",
        "Patient.photo.url",
    ):
        assert fhirpath_patch(parameters(operation("delete", path)))(PATIENT) is None


def test_what_a_delete_leaves_empty_goes_too() -> None:
    name = {"text": "Ada", "period": {"start": "2020"}}
    resource = {"resourceType": "Patient", "id": "7", "name": [name], "contact": [{"name": {"text": "Ali"}}]}

    assert patched(operation("delete", "Patient.name[0].period.start"), resource=resource)["name"] == [{"text": "Ada"}]
    assert patched(operation("delete", "Patient.contact[0].name.text"), resource=resource) == without(
        resource, "contact"
    )


@pytest.mark.parametrize(
    "path",
    [
        "Observation.value.unit",
        "Observation.value.ofType(Quantity).unit",
        "(Observation.value as Quantity).unit",
        "Observation.value.as(Quantity).unit",
        "Resource.value.unit",
        "value.unit",
    ],
)
def test_a_choice_is_named_without_its_type_or_with_it(path: str) -> None:
    after = patched(operation("replace", path, {"valueString": "cm"}), resource=OBSERVATION)

    assert after["valueQuantity"] == {"value": 1, "unit": "cm"}


def test_a_choice_changes_its_name_with_its_type() -> None:
    after = patched(operation("replace", "Observation.value", {"valueString": "tall"}), resource=OBSERVATION)
    assert after == {**without(OBSERVATION, "valueQuantity"), "valueString": "tall"}

    after = patched(
        operation("replace", "Observation.component[1].value", {"valueBoolean": True}), resource=OBSERVATION
    )
    assert after["component"][1] == {"code": {"text": "y"}, "valueBoolean": True}

    plain = without(OBSERVATION, "valueQuantity")
    add = operation("add", "Observation", {"valueDateTime": "2026"}, name="value")
    assert patched(add, resource=plain)["valueDateTime"] == "2026"
    assert patched(operation("delete", "Observation.value"), resource=OBSERVATION) == plain


def test_add_refuses_a_single_element_that_is_there_in_whatever_type() -> None:
    assert refused(operation("add", "Patient", {"valueBoolean": True}, name="active")).status == 422
    value = {"valueString": "tall"}
    assert refused(operation("add", "Observation", value, name="value"), resource=OBSERVATION).status == 422


def test_the_ids_and_extensions_of_primitives_move_with_their_values() -> None:
    why = {"extension": [{"url": URL, "valueCode": "masked"}]}
    name = {"given": ["a", None, "c"], "_given": [None, why, {"id": "g"}]}
    resource = {"resourceType": "Patient", "id": "7", "name": [name], "birthDate": "1980", "_birthDate": why}

    def given(*operations: Json) -> Json:
        after: Json = patched(*operations, resource=resource)["name"][0]
        return after

    assert given(operation("move", "Patient.name.given", source=2, destination=0)) == {
        "given": ["c", "a", None],
        "_given": [{"id": "g"}, None, why],
    }
    assert given(operation("delete", "Patient.name.given[0]")) == {"given": [None, "c"], "_given": [why, {"id": "g"}]}
    assert given(operation("add", "Patient.name", {"valueString": "d"}, name="given")) == {
        "given": ["a", None, "c", "d"],
        "_given": [None, why, {"id": "g"}, None],
    }
    assert given(operation("delete", "Patient.name.given[1].extension")) == {
        "given": ["a", "c"],
        "_given": [None, {"id": "g"}],
    }
    shadow = {"_valueString": {"id": "n"}, "valueString": "b"}
    assert given(operation("replace", "Patient.name.given[1]", shadow))["_given"] == [None, {"id": "n"}, {"id": "g"}]
    assert "_birthDate" not in patched(
        operation("replace", "Patient.birthDate", {"valueDate": "1981"}), resource=resource
    )
    url = f"Patient.birthDate.extension('{URL}')"
    assert "_birthDate" not in patched(operation("delete", url), resource=resource)
    after = patched(operation("replace", f"{url}.value", {"valueString": "x"}), resource=resource)
    assert after["_birthDate"] == {"extension": [{"url": URL, "valueString": "x"}]}


def test_a_primitive_gets_its_first_extension() -> None:
    extension = {"part": [{"name": "url", "valueUri": URL}, {"name": "value", "valueCode": "masked"}]}
    written = {"extension": [{"url": URL, "valueCode": "masked"}]}

    after = patched(operation("add", "Patient.birthDate", extension, name="extension"))
    assert after["_birthDate"] == written
    after = patched(operation("add", "Patient.name[0].given[1]", extension, name="extension"))
    assert after["name"][0]["_given"] == [None, written]


def test_a_value_may_have_an_extension_and_no_value() -> None:
    why = {"extension": [{"url": URL, "valueCode": "masked"}]}

    after = patched(operation("add", "Patient", {"_valueCode": why}, name="gender"))

    assert after == {**PATIENT, "_gender": why}


def test_each_operation_sees_what_those_before_it_made() -> None:
    after = patched(
        operation("add", "Patient", {"valueHumanName": {"use": "nickname"}}, name="name"),
        operation("add", "Patient.name.where(use = 'nickname')", {"valueString": "Su"}, name="text"),
        operation("replace", "Patient.name.last().text", {"valueString": "Sü"}),
        operation("delete", "Patient.name[0]"),
    )

    assert after["name"] == [PATIENT["name"][1], {"use": "nickname", "text": "Sü"}]


@pytest.mark.parametrize(
    "criterion",
    [
        "system = 'urn:b'",
        "system = 'urn:b' and value = '2'",
        "use.exists()",
        "value != '1'",
        "use = 'official' and value.exists() and system != 'urn:a'",
    ],
)
def test_where_selects_by_what_an_item_holds(criterion: str) -> None:
    after = patched(operation("replace", f"Patient.identifier.where({criterion}).value", {"valueString": "9"}))

    assert [each["value"] for each in after["identifier"]] == ["1", "9"]


def test_text_takes_any_text_and_the_narrative_a_string() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">new</div>'
    resource = {**PATIENT, "text": {"status": "generated", "div": div.replace("new", "old")}}

    assert (
        patched(operation("replace", "Patient.text.div", {"valueString": div}), resource=resource)["text"]["div"] == div
    )
    assert patched(operation("add", "Patient", {"valueString": "female"}, name="gender"))["gender"] == "female"
    narrative = {"part": [{"name": "status", "valueCode": "generated"}, {"name": "div", "valueString": div}]}
    assert patched(operation("add", "Patient", narrative, name="text"))["text"] == {"status": "generated", "div": div}


@pytest.mark.parametrize(
    "bad",
    [
        operation("add", "Patient.identifier.where(use = 'official').period", {"valueDate": "2021"}, name="end"),
        operation("add", "Patient.contact[1]", {"valueCode": "male"}, name="gender"),
        operation("add", "Patient.name", {"valueString": "x"}, name="given"),
        operation("add", "Patient", {"valueString": "x"}, name="nothing"),
        operation("add", "Patient", {"valueString": "x"}, name="valueString"),
        operation("add", "Patient", {"valueString": "x"}, name="resourceType"),
        operation("add", "Patient", {"valueHumanName": {"text": "x"}}, name="gender"),
        operation("add", "Patient", {"valueInteger": 1}, name="gender"),
        operation("add", "Patient", {"valueCode": "x"}, name="photo"),
        operation("add", "Patient", {"part": [{"name": "x", "valueCode": "y"}]}, name="contact"),
        operation("add", "Patient", {"part": [{"name": "gender", "valueCode": "male"}] * 2}, name="contact"),
        operation("add", "Patient", {"part": [{"name": "gender", "valueCode": "male"}]}, name="gender"),
        operation("add", "Patient", {"part": [{"name": "id", "valueId": "x"}]}, name="contained"),
        operation("add", "Patient", {"part": [{"name": "x", "valueId": "x"}]}, name="deceased"),
        operation("add", "Patient", {"resource": {"resourceType": "Basic"}}, name="name"),
        operation("replace", "Patient.gender", {"valueCode": "male"}),
        operation("replace", "Patient.name", {"valueHumanName": {"text": "x"}}),
        operation("replace", "Patient", {"resource": PATIENT}),
        operation("replace", "Patient.valueString", {"valueString": "x"}),
        operation("replace", "Observation.status", {"valueString": "x"}),
        operation("replace", "Person.name[0]", {"valueHumanName": {"text": "x"}}),
        operation("replace", "Patient.name[0].family.value", {"valueString": "x"}),
        operation("delete", "Patient"),
        operation("delete", "Resource"),
        operation("delete", "Patient.name"),
        operation("delete", "Patient.name.given"),
        operation("delete", "Patient.nothing"),
        operation("insert", "Patient.active", {"valueBoolean": True}, index=0),
        operation("insert", "Patient.name.given", {"valueString": "x"}, index=0),
        operation("insert", "Patient.name", {"valueString": "x"}, index=0),
        operation("move", "Patient.deceased", source=0, destination=0),
        operation("move", "Patient.photo", source=0, destination=0),
    ],
)  # fmt: skip
def test_r_fhir_014_an_operation_that_does_not_fit_is_422_and_named(bad: Json) -> None:
    error = refused(operation("replace", "Patient.active", {"valueBoolean": False}), bad)

    assert isinstance(error, UnprocessableError)
    assert error.issues[0].expression == "Parameters.parameter[1]"


@pytest.mark.parametrize(
    "bad",
    [
        operation("test", "Patient.active", {"valueBoolean": True}),
        operation("add", "Patient", {"valueCode": "x"}),
        operation("add", "Patient", name="gender"),
        operation("add", "Patient", {"valueCode": "x", "valueString": "y"}, name="gender"),
        operation("add", "Patient", {"valueCode": "x", "part": []}, name="gender"),
        operation("add", "Patient", {"part": []}, name="contact"),
        operation("add", "Patient", {"part": "x"}, name="contact"),
        operation("add", "Patient", {"part": ["x"]}, name="contact"),
        operation("add", "Patient", {"part": [{"valueCode": "x"}]}, name="contact"),
        operation("add", "Patient", {"resource": "x"}, name="contained"),
        operation("add", "Patient", {"valueHumanName": "x"}, name="name"),
        operation("add", "Patient", {"valueHumanName": {}}, name="name"),
        operation("add", "Patient", {"valueCode": {"a": 1}}, name="gender"),
        operation("add", "Patient", {"valueCode": ["male"]}, name="gender"),
        operation("add", "Patient", {"valueCode": None}, name="gender"),
        operation("add", "Patient", {"_valueCode": "x"}, name="gender"),
        operation("add", "Patient", {"_valueCode": {}}, name="gender"),
        operation("add", "Patient", {"valueNothing": "x"}, name="gender"),
        operation("add", "Patient", {"valueXhtml": "x"}, name="gender"),
        operation("delete", ""),
        operation("delete", "Patient."),
        operation("delete", "Patient.name["),
        operation("delete", "Patient.name[-1]"),
        operation("delete", "Patient.name.where(use = 'a"),
        operation("delete", "Patient.name; drop"),
        operation("delete", "a" * 2001),
        operation("delete", "(" * 500),
        operation("delete", "Patient.active", index=1),
        operation("insert", "Patient.name", {"valueHumanName": {"text": "x"}}),
        operation("insert", "Patient.name", {"valueHumanName": {"text": "x"}}, index=-1),
        operation("insert", "Patient.name[0]", {"valueHumanName": {"text": "x"}}, index=0),
        operation("insert", "Patient", {"valueHumanName": {"text": "x"}}, index=0),
        operation("move", "Patient.name", source=0),
        operation("move", "Patient.name", source=0, destination="1"),
        operation("move", "Patient.name", source=True, destination=1),
        {"name": "operation"},
        {"name": "operation", "part": ["x"]},
        {"name": "operation", "part": [{"name": ["x"]}]},
        {"name": "other", "part": operation("delete", "Patient.active")["part"]},
        {"name": "operation", "part": operation("delete", "Patient.active")["part"] * 2},
        {"name": "operation", "part": [{"name": "type", "valueCode": ["add"]}]},
        "x",
    ],
)
def test_r_fhir_014_what_is_no_fhirpath_patch_is_400(bad: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        fhirpath_patch(parameters(operation("delete", "Patient.active"), bad))

    assert str(caught.value.issues[0].expression).startswith("Parameters.parameter[1]")


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}}]
)
def test_only_parameters_are_a_fhirpath_patch(body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        fhirpath_patch(body)


@pytest.mark.parametrize(
    "path",
    [
        "Patient.name | Patient.contact",
        "Patient.name.given = 'x'",
        "Patient.managingOrganization.resolve()",
        "Patient.name.where(given)",
        "Patient.name.where(use = family)",
        "Patient.name.skip(1)",
        "Patient.extension(url)",
        "%resource.name[0]",
        "'x'",
    ],
)
def test_what_a_patch_does_not_need_of_fhirpath_is_400(path: str) -> None:
    assert refused(operation("delete", path)).status == 400


@pytest.mark.parametrize(
    "bad",
    [
        operation("delete", "Patient.id"),
        operation("replace", "Patient.id", {"valueId": "8"}),
        operation("replace", "Patient.meta.versionId", {"valueId": "8"}),
        operation("replace", "Patient.meta.lastUpdated", {"valueInstant": "2020-01-01T00:00:00Z"}),
    ],
)
def test_r_fhir_014_a_patch_changes_neither_id_nor_version(bad: Json) -> None:
    meta = {"versionId": "3", "lastUpdated": "2026-01-05T10:00:00.000Z"}

    assert refused(bad, resource={**PATIENT, "meta": meta}).status == 422


def test_a_value_that_breaks_its_format_is_left_to_validation() -> None:
    edit = fhirpath_patch(parameters(operation("replace", "Patient.birthDate", {"valueDate": "yesterday"})))
    after = edit(PATIENT)

    assert after is not None
    with pytest.raises(UnprocessableError):
        validate(after)


def test_a_patch_can_be_applied_twice_and_keeps_its_own_values() -> None:
    add = operation("add", "Patient", {"valueContactPoint": {"system": "phone", "value": "1"}}, name="telecom")
    edit = fhirpath_patch(parameters(add, operation("replace", "Patient.telecom[0].value", {"valueString": "2"})))

    assert edit(PATIENT) == edit(PATIENT) == {**PATIENT, "telecom": [{"system": "phone", "value": "2"}]}


def test_no_refusal_quotes_the_resource_or_the_patch() -> None:
    for bad in (
        operation("replace", "Patient.name.where(family = 'Hilda').given[0]", {"valueString": "Hilda"}),
        operation("add", "Patient", {"valueCode": "Hilda"}, name="Hilda"),
        operation("replace", "Patient.hilda.Hilda", {"valueString": "x"}),
        operation("delete", "Patient.name.where(family = 'Hilda"),
        operation("delete", "Patient.name.Hilda('Hilda')"),
    ):
        assert "hilda" not in str(refused(bad).issues).lower()
