"""What the server says of itself: kept as a file, and held against what it does.

R-FHIR-001; https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterator

import pytest

from fhir_server.api.offered import operations, system_interactions, type_interactions
from fhir_server.fhir.capability import Offer, Operation, statements
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.validation import validate
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.search.described import described
from tests.snapshots.kept import require_kept


def offer(*more: Operation, delete_several: bool = False) -> Offer:
    return Offer(
        "https://clinic.example/fhir",
        "1.2.3",
        "2026-03-14T09:26:53.000Z",
        served_types(),
        described,
        type_interactions(),
        system_interactions(),
        (*operations(), *more),
        delete_several,
        {name: f"https://clinic.example/auth/{name}" for name in ("authorize", "token", "introspect", "revoke")},
    )


def statement(mode: str = "full", said: Offer | None = None) -> Json:
    found: Json = json.decode(statements(said or offer())[mode])
    return found


def lines(whole: Json) -> Iterator[str]:
    """All of it, in lines that a diff can show: each type has one for what it is and one for how it is searched."""
    [rest] = whole["rest"]
    resources = rest["resource"]
    yield json.pretty(json.encode({**whole, "rest": [{**rest, "resource": []}]})).decode()
    for resource in resources:
        parameters = [
            f"{each['name']}:{each['type']}({each['documentation'].removeprefix('Modifiers: ').rstrip('.')})"
            for each in resource.pop("searchParam")
        ]
        ways = [f"{name}: {' '.join(resource.pop(name, ()))}" for name in ("searchInclude", "searchRevInclude")]
        told = "\n  ".join([json.encode(resource).decode(), *ways, " ".join(parameters)])
        yield f"\n{told}"


def test_r_fhir_001_what_the_server_says_of_itself_is_kept() -> None:
    require_kept("capability_statement.txt", "\n".join(lines(statement())) + "\n")


def test_what_it_says_of_its_terminology_is_kept() -> None:
    text = json.pretty(json.encode(statement("terminology"))).decode() + "\n"

    require_kept("terminology_capabilities.json", text)


@pytest.mark.parametrize("mode", ["full", "normative", "terminology"])
def test_r_fhir_001_what_it_says_is_valid(mode: str) -> None:
    said = statement(mode)
    if said["resourceType"] not in served_types():
        pytest.skip(f"{said['resourceType']} is of the types that are not served, so nothing here can judge it.")

    validate(said, with_models=True)


def test_a_row_of_the_route_table_is_told_by_being_there() -> None:
    assert type_interactions() >= {"read", "vread", "create", "update", "patch", "delete", "search-type"}
    assert system_interactions() >= {"transaction", "batch", "history-system"}
    assert {Operation("validate", "Resource"), Operation("withdraw", "Consent")} <= set(operations())
    assert len(operations()) == len(set(operations()))


def test_an_operation_is_named_where_it_can_be_asked() -> None:
    said = statement(said=offer(Operation("clone", "Patient"), Operation("convert", "")))

    [rest] = said["rest"]
    named = {resource["type"]: {each["name"] for each in resource["operation"]} for resource in rest["resource"]}
    operations = {
        "break-glass",
        "erase",
        "clone",
        "merge",
        "unmerge",
        "match",
        "health-link",
        "everything",
        "export",
        "patient-export",
        "access-log",
        "lots",
    }
    operations |= {"rights-request", "export-my-data", "summary"}
    assert named["Patient"] == {*named["Observation"], *operations}
    assert named["Consent"] >= {"withdraw", "validate"}
    definitions = {each["name"]: each["definition"] for resource in rest["resource"] for each in resource["operation"]}
    assert definitions["match"] == "http://hl7.org/fhir/OperationDefinition/Patient-match"
    assert definitions["withdraw"] == "urn:aesthetic-fhir-server:operation:Consent-withdraw"
    assert [each["name"] for each in rest["operation"]] == [
        "compliance-report",
        "convert",
        "export",
        "import",
        "regulator-export",
        "reversibility-export",
    ]


def test_whether_several_can_be_deleted_is_said() -> None:
    for several, word in ((False, "single"), (True, "multiple")):
        said = statement(said=offer(delete_several=several))
        assert {each["conditionalDelete"] for each in said["rest"][0]["resource"]} == {word, "not-supported"}


def test_a_difference_fails_and_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENEW_SNAPSHOTS", raising=False)

    with pytest.raises(AssertionError, match="make snapshots") as refusal:
        require_kept("capability_statement.txt", "something else\n")

    assert "+something else" in str(refusal.value)
