"""Searches of a compartment and of the whole system over HTTP, compared with a look at the same data."""

from collections.abc import Sequence

import pytest

from tests.clinics import Caller, InProcess, read
from tests.flows.loaded import Loaded, everything, keys_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def clerk(patients_clinic: InProcess) -> Caller:
    return patients_clinic.caller()


async def found(clerk: Caller, path: str) -> list[str]:
    return keys_of(await everything(clerk, f"/fhir{path}"))


def of_types(loaded: Loaded, *types: str) -> list[str]:
    return sorted(key for key in loaded.resources if key.partition("/")[0] in types)


NOT_A_PATIENTS = {"Organization", "Practitioner", "Medication", "Location"}


async def test_r_fhir_063_a_compartment_search_equals_one_by_patient(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    for one in loaded[:3]:
        id = one.patient.removeprefix("Patient/")
        for type, query in (
            ("Observation", ""),
            ("Observation", "category=laboratory"),
            ("Observation", "date=ge2015&_sort=-date"),
            ("Condition", "clinical-status=active"),
            ("Encounter", "_sort=_id"),
        ):
            inside = await found(clerk, f"/Patient/{id}/{type}?_count=200&{query}")
            assert inside == await found(clerk, f"/{type}?patient={id}&_count=200&{query}")
            assert inside or "active" in query
        assert await found(clerk, f"/Patient/{id}/Patient") == [one.patient]


async def test_r_fhir_063_all_of_a_compartment(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    one = min(loaded, key=lambda each: len(each.resources))
    mine = sorted(key for key in one.resources if key.partition("/")[0] not in NOT_A_PATIENTS)

    assert await found(clerk, f"/{one.patient}/*?_count=50") == mine
    assert await found(clerk, f"/{one.patient}/*?_type=Observation,Condition&_count=7") == of_types(
        one, "Observation", "Condition"
    )


async def test_r_fhir_063_compartments_of_others_than_patients(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    one = loaded[0]
    encounter = of_types(one, "Encounter")[0]
    inside = [key for key, each in one.of_type("Observation").items() if each["encounter"]["reference"] == encounter]

    assert await found(clerk, f"/{encounter}/Observation") == sorted(inside)
    assert await found(clerk, f"/{encounter}/Encounter") == [encounter]
    assert encounter in await found(clerk, f"/{encounter}/*")
    practitioner = of_types(one, "Practitioner")[0]
    seen = [
        key
        for each in loaded
        for key, visit in each.of_type("Encounter").items()
        if visit["participant"][0]["individual"]["reference"] == practitioner
    ]
    assert await found(clerk, f"/{practitioner}/Encounter") == sorted(seen)


async def test_r_fhir_040_compartments_and_the_system_are_searched_by_post_too(
    clerk: Caller, loaded: Sequence[Loaded]
) -> None:
    one = loaded[0]
    for place in (f"/{one.patient}/Observation", f"/{one.patient}/*", ""):
        query = "_count=5&_type=Observation" if place[-1:] in {"*", ""} else "_count=5"
        by_get = read(await clerk.get(f"/fhir{place}?{query}"))
        by_post = await clerk.post(f"/fhir{place}/_search", query, Content_Type=FORM)

        assert by_post.status_code == 200
        assert read(by_post)["entry"] == by_get["entry"]
        [following] = [link["url"] for link in read(by_post)["link"] if link["relation"] == "next"]
        assert read(await clerk.get(following))["entry"] != by_get["entry"]


async def test_the_system_is_searched_by_what_all_types_have(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    everything_there = sorted(key for one in loaded for key in one.resources)
    organization = next(key for key in everything_there if key.startswith("Organization/"))

    assert await found(clerk, f"?_id={organization.removeprefix('Organization/')}") == [organization]
    assert await found(clerk, "?_type=Patient,Organization&_count=3") == sorted(
        key for one in loaded for key in of_types(one, "Patient", "Organization")
    )
    assert await found(clerk, "?_lastUpdated=lt2000") == []
    counted = read(await clerk.get("/fhir?_type=Patient,Condition&_summary=count"))
    assert counted["total"] == len([key for key in everything_there if key.startswith(("Patient/", "Condition/"))])
    assert "entry" not in counted


async def test_types_that_share_a_parameter_are_searched_by_it(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    one = loaded[0]
    id = one.patient.removeprefix("Patient/")

    assert await found(clerk, f"?_type=Condition,Immunization&patient={id}&_count=200") == of_types(
        one, "Condition", "Immunization"
    )
    assert await found(clerk, f"?_type=Condition,Immunization&patient:Patient.family:exact={family(one)}&_count=200")
    both = read(await clerk.get(f"/fhir?_type=Condition,Immunization&patient={id}&_include=*:patient"))
    assert both["resourceType"] == "OperationOutcome", "a type is named, or all of it is a star"


def family(one: Loaded) -> str:
    [(_, patient)] = one.of_type("Patient").items()
    return str(patient["name"][0]["family"])


async def test_pages_across_types_go_on_in_one_order(clerk: Caller, loaded: Sequence[Loaded]) -> None:
    for sort in ("_lastUpdated", "-_lastUpdated", "_id", "-_id", "date"):
        path = f"?_type=Immunization,Procedure&_sort={sort}"
        whole = await everything(clerk, f"/fhir{path}&_count=500")
        paged = await everything(clerk, f"/fhir{path}&_count=31")

        assert [each["id"] for each in paged] == [each["id"] for each in whole]
        assert len(whole) == sum(len(of_types(one, "Immunization", "Procedure")) for one in loaded)
        if sort == "date":
            moments = [each.get("occurrenceDateTime") or each["performedPeriod"]["start"] for each in whole]
            assert [moment[:10] for moment in moments] == sorted(moment[:10] for moment in moments)


async def test_r_fhir_042_the_self_link_says_where_and_what(clerk: Caller, patients_clinic: InProcess) -> None:
    for path in ("?_type=Patient&_count=1", "/Patient/nobody/Observation?code=x", "/Patient/nobody/*", "?_count=1"):
        page = read(await clerk.get(f"/fhir{path}"))
        assert page["link"][0] == {"relation": "self", "url": f"{patients_clinic.base}{path}"}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("?_type=Nothing", "_type names Nothing. It takes: Account"),
        ("?_type=Patient&_type=Observation", "is given once"),
        ("?name=x", "has no search parameter name"),
        ("?_type=Patient,Observation&name=x", "Observation has no search parameter name"),
        ("?_type=Patient,Observation&_sort=name", "Observation has no order by name"),
        ("?_type=Patient,Condition&_include=Observation:subject", "a Observation is none here"),
        ("/Patient/7/Organization", "Organization lies in no compartment of a Patient. What does: Account"),
        ("/Patient/7/*?_type=Organization", "_type names Organization"),
        ("/Patient/7/Observation?_type=Observation", "_type is not supported"),
    ],
)
async def test_what_cannot_be_searched_together_is_refused(clerk: Caller, path: str, told: str) -> None:
    answer = await clerk.get(f"/fhir{path}")

    assert answer.status_code == 400
    assert told in read(answer)["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "path", ["/Group/7/Observation", "/Patient/7/Nothing", "/Patient/7/$x", "/Patient/7/**", "/Observation/7/*"]
)
async def test_what_is_no_compartment_is_nowhere(clerk: Caller, path: str) -> None:
    assert (await clerk.get(f"/fhir{path}")).status_code == 404


async def test_r_smart_052_only_what_may_be_searched_is_among_everything(
    patients_clinic: InProcess, loaded: Sequence[Loaded]
) -> None:
    one = loaded[0]
    id = one.patient.removeprefix("Patient/")
    own = patients_clinic.caller("patient/Observation.rs", "patient/Condition.rs", patient=id)

    assert await found(own, "?_count=200") == of_types(one, "Observation", "Condition")
    assert await found(own, f"/{loaded[1].patient}/*") == []
    assert await found(own, f"/{one.patient}/*?_type=Condition") == of_types(one, "Condition")
    assert (await own.get("/fhir?_type=Patient")).status_code == 403
    assert (await own.get("/fhir?_type=Condition,Encounter")).status_code == 403
    assert (await own.get(f"/fhir/{one.patient}/Encounter")).status_code == 403


async def test_the_log_is_not_among_everything(patients_clinic: InProcess) -> None:
    auditor = patients_clinic.caller("system/AuditEvent.rs", "system/Patient.rs")

    everything_there = read(await auditor.get("/fhir?_count=1000"))
    named = read(await auditor.get("/fhir?_type=AuditEvent,Patient&_sort=-_lastUpdated"))

    assert {each["resource"]["resourceType"] for each in everything_there["entry"]} == {"Patient"}
    assert named["entry"][0]["resource"]["resourceType"] == "AuditEvent"


async def test_r_balp_009_a_search_of_everything_is_recorded_per_patient(
    patients_clinic: InProcess, loaded: Sequence[Loaded]
) -> None:
    async with patients_clinic.trail.recording() as recorded:
        await patients_clinic.caller().get("/fhir?_type=Patient")
        await patients_clinic.caller().get(f"/fhir/{loaded[0].patient}/*?_count=3")

    subtypes = [str(event["subtype"][0]["code"]) for event in recorded.events]
    assert set(subtypes) == {"search-system"}
    assert len(recorded.events) == len(loaded) + 1
