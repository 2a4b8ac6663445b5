"""Whether a treatment is documented as the insurer asks, rule by rule, and what lacks."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.chosen import insurers
from fhir_server.engine.pictured import TAGS
from fhir_server.injectables.policy import PolicyError, policies, read_policy
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import RENDITION, SIMULATED, TIMEPOINT
from fhir_server.settings import Settings
from fhir_server.variables import SettingsError
from tests.clinics import Caller, InProcess, read
from tests.flows.treatments import CHEEK, FOREHEAD, Treated, site, treated
from tests.people import care_team, staff

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


async def checked(caller: Caller, done: Treated, query: str = "") -> Json:
    """`result`, the OperationOutcome, and each condition by its rule."""
    answer = await caller.get(f"{done.path}/$insurance-check{query}")
    assert answer.status_code == 200, answer.text
    found: Json = {}
    for one in read(answer)["parameter"]:
        if one["name"] == "condition":
            parts = {part["name"]: next(v for n, v in part.items() if n != "name") for part in one["part"]}
            found[parts["rule"]] = parts
        else:
            found[one["name"]] = next(value for name, value in one.items() if name != "name")
    return found


def issue(found: Json, rule: str) -> Json:
    [wanted] = [one for one in found["outcome"]["issue"] if one["details"]["coding"][0]["code"] == rule]
    assert isinstance(wanted, dict)
    return wanted


async def test_t_45_m_9_an_injectable_without_a_before_photo_fails_with_the_rule(
    clinic: InProcess, office: Caller
) -> None:
    done = await treated(clinic, office)

    found = await checked(office, done)

    assert found["result"] is False
    said = issue(found, "photo-before")
    assert (said["code"], said["severity"]) == ("business-rule", "error")
    assert FOREHEAD in said["diagnostics"]


async def test_t_3_t_27_a_treatment_that_is_documented_whole_passes(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office)
    before = await done.photo(office, createdDateTime=done.at(days=-3))

    found = await checked(office, done)

    assert found["result"] is True
    assert found["photo-before"]["evidence"] == {"reference": f"Media/{before['id']}"}
    assert found["lot"]["evidence"] == {"reference": f"Device/{done.syringe['id']}"}
    assert found["policy"].startswith("general|")
    assert {one["severity"] for one in found["outcome"]["issue"]} == {"information"}


async def test_t_46_t_47_what_lacks_is_an_error_with_rule_and_consequence(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office, agreed=False, performer=None, usedReference=None, category=category())

    found = await checked(office, done)

    lacking = {rule for rule, one in found.items() if isinstance(one, dict) and one.get("met") is False}
    assert lacking == {"photo-before", "photo-after", "consent-to-treatment", "lot", "performer"}
    for rule in lacking - {"photo-after"}:
        assert issue(found, rule)["severity"] == "error"
        assert issue(found, rule)["details"]["text"] == found[rule]["consequence"] != ""


def category() -> Json:
    return {"coding": [{"system": "urn:aesthetic-fhir-server:procedure-category", "code": "injectable"}]}


async def test_t_48_without_an_after_photo_there_is_a_warning_once_the_time_for_it_is_over(
    clinic: InProcess, office: Caller
) -> None:
    fresh = await treated(clinic, office)
    period = {"start": fresh.at(days=-60), "end": fresh.at(days=-59)}
    old = await treated(clinic, office, performedDateTime=None, performedPeriod=period)

    soon, late = await checked(office, fresh), await checked(office, old)
    await old.photo(office, createdDateTime=old.at(days=-30))
    there = await checked(office, old)

    assert issue(soon, "photo-after")["severity"] == "information"
    assert issue(late, "photo-after")["severity"] == "warning"
    assert there["photo-after"]["met"] is True


async def test_s_18_what_is_no_photo_of_that_region_before_that_time_does_not_count(
    clinic: InProcess, office: Caller
) -> None:
    done = await treated(clinic, office)
    in_time = {"createdDateTime": done.at(days=-3)}
    after = {"url": TIMEPOINT, "valueCodeableConcept": {"coding": [{"code": "after"}]}}
    await done.photo(office, CHEEK, **in_time)
    await done.photo(office, createdDateTime=done.at(days=1))
    await done.photo(office, createdDateTime=done.at(days=-91))
    await done.photo(office, **in_time, meta={"tag": [{"system": TAGS, "code": SIMULATED}]})
    await done.photo(office, **in_time, extension=[{"url": RENDITION, "valueCode": "screen"}])
    await done.photo(office, **in_time, extension=[after])
    await done.photo(office)
    await done.photo(office, **in_time, status="in-progress")

    found = await checked(office, done)

    assert (found["photo-before"]["met"], "evidence" in found["photo-before"]) == (False, False)


async def test_each_treated_region_needs_its_photo(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office, bodySite=[site(FOREHEAD), site(CHEEK)])
    nowhere = await treated(clinic, office, bodySite=None)
    await done.photo(office, createdDateTime=done.at(days=-3))

    found, unsaid = await checked(office, done), await checked(office, nowhere)

    assert (found["photo-before"]["met"], CHEEK in found["photo-before"]["missing"]) == (False, True)
    assert FOREHEAD not in found["photo-before"]["missing"]
    assert "bodySite" in unsaid["photo-before"]["missing"]


async def test_lots_are_those_of_the_procedure_and_of_what_was_given_with_it(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office, usedReference=None, encounter={"reference": "Encounter/visit-1"})
    bare = {"resourceType": "Medication", "id": "it", "code": {"text": "Toxin"}}
    batched = {**bare, "batch": {"lotNumber": "B1"}}
    other = await treated(clinic, office)

    async def give(what: Json, **more: Any) -> None:
        subject = {"reference": f"Patient/{done.patient}"}
        dose = {"resourceType": "MedicationAdministration", "status": "completed", "subject": subject}
        inside = {"contained": [what], "medicationReference": {"reference": "#it"}}
        await office.store({**dose, **inside, "effectiveDateTime": done.at(), **more})

    await give(batched, partOf=[{"reference": f"Procedure/{done.procedure['id']}"}])
    await give(bare, partOf=[{"reference": f"Procedure/{other.procedure['id']}"}])
    await give(bare, context={"reference": "Encounter/visit-1"}, dosage={"dose": {"value": 10}, "site": site(CHEEK)})
    whole = await checked(office, done)
    await give(bare, context={"reference": "Encounter/visit-1"})
    lacking = await checked(office, done)

    assert whole["lot"]["met"] is True
    assert lacking["lot"]["missing"].startswith("Without a lot: MedicationAdministration/")


async def test_t_49_a_note_may_stand_in_the_procedure_its_report_or_its_encounter(
    clinic: InProcess, office: Caller
) -> None:
    visit = {"reference": "Encounter/visit-2"}
    none = await treated(clinic, office, note=None, encounter=visit)
    of_visit = await treated(clinic, office, note=None, encounter=visit)
    person = {"reference": f"Patient/{of_visit.patient}"}
    thought = {"resourceType": "ClinicalImpression", "status": "completed", "subject": person, "encounter": visit}
    await office.store({**thought, "summary": "Even."})
    text = {"attachment": {"contentType": "text/plain", "data": "RXZlbi4="}}
    report = await office.store(
        {"resourceType": "DocumentReference", "status": "current", "subject": person, "content": [text]}
    )
    reported = await treated(clinic, office, note=None, report=[{"reference": f"DocumentReference/{report['id']}"}])

    found = [(await checked(office, one))["note"]["met"] for one in (none, of_visit, reported)]

    assert found == [False, True, True]


async def test_what_is_no_injectable_is_not_what_the_policy_is_about(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office, usedReference=None)

    found = await checked(office, done)

    assert (found["result"], len(found["outcome"]["issue"])) == (True, 1)


async def test_a_policy_is_one_that_is_here(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office)
    asked = ("?policy=nobody", "?policy=general&policy=general", "?insurer=x")

    answers = [await office.get(f"{done.path}/$insurance-check{query}") for query in asked]

    assert [one.status_code for one in answers] == [422, 400, 400]


async def test_what_cannot_be_checked_is_said(clinic: InProcess, office: Caller) -> None:
    undated = await treated(clinic, office, performedDateTime=None)
    group = await treated(clinic, office, subject={"reference": "Group/somebody"})

    answers = [await office.get(f"{one.path}/$insurance-check") for one in (undated, group)]

    assert [one.status_code for one in answers] == [422, 422]
    assert (await office.get("/fhir/Procedure/nobody/$insurance-check")).status_code == 404


async def test_only_who_treats_the_patient_may_ask(clinic: InProcess, office: Caller) -> None:
    done = await treated(clinic, office)
    await office.store(care_team(done.patient, "Practitioner/checker"))
    mine = staff(clinic, "nurse", person="Practitioner/checker")

    assert (await checked(mine, done))["lot"]["met"] is True
    assert (await staff(clinic, "nurse").get(f"{done.path}/$insurance-check")).status_code == 404
    assert (await staff(clinic, "receptionist").get(f"{done.path}/$insurance-check")).status_code == 403


CONDITION = """
[[condition]]
rule = "{rule}"
kind = "{kind}"
severity = "{severity}"
text = "t"
consequence = "c"
"""
HEAD = 'code = "own"\nversion = "{version}"\ntitle = "Own"\n[applies]\nany_product = true\n'


def test_t_53_conditions_are_data_with_a_version_and_a_clinic_adds_its_insurers(tmp_path: Path) -> None:
    mine = tmp_path / "own.toml"
    mine.write_text(HEAD.format(version=1) + CONDITION.format(rule="a", kind="lot", severity="error"))
    first = policies(tmp_path)["own"]
    with mine.open("a") as file:
        file.write(CONDITION.format(rule="b", kind="note", severity="warning"))

    second = policies(tmp_path)["own"]

    assert [len(one.conditions) for one in (first, second)] == [1, 2]
    assert policies(tmp_path).keys() == {"general", "own"}


@pytest.mark.parametrize(
    "text",
    [
        CONDITION.format(rule="a", kind="smell", severity="error"),
        CONDITION.format(rule="a", kind="lot", severity="fatal"),
        CONDITION.format(rule="a", kind="photo", severity="error"),
        CONDITION.format(rule="a", kind="lot", severity="error") * 2,
        CONDITION.format(rule="a", kind="photo", severity="error") + 'taken = "soon"\nwithin_days = 3\n',
        "",
    ],
)
def test_a_file_that_is_no_policy_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(HEAD.format(version=1) + text)

    with pytest.raises(PolicyError, match=r"mine\.toml"):
        policies(tmp_path)


def test_a_server_does_not_start_on_a_file_that_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("code = ")

    with pytest.raises(SettingsError, match="INSURANCE_POLICIES"):
        insurers(Settings(insurance_policies=tmp_path))


def test_a_policy_without_a_product_is_about_its_codes() -> None:
    text = HEAD.format(version=1).replace("any_product = true", 'codes = ["x|y"]')

    policy = read_policy(text + CONDITION.format(rule="a", kind="lot", severity="error"))

    assert (policy.codes, policy.any_product) == (frozenset({"x|y"}), False)
