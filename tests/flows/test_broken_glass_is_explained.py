"""What `$decide` says of an emergency is what becomes of whoever breaks the glass: the same record, both ways."""

from collections.abc import Sequence

import pytest

from fhir_server.consent.purposes import ACT_REASON
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.erasures import Record
from tests.flows.requests import Desk
from tests.people import Case, care_team, of_patient, staff
from tests.samples import consent

pytestmark = pytest.mark.anyio

OPEN, SHUT = (200, 200, 200), (404, 403, 403)
TO_TREAT = {"practitioner", "nurse", "Practitioner/any"}
"""The roles that break the glass, and somebody of staff."""


@pytest.fixture
async def case(clinic: InProcess) -> Case:
    return await Case(clinic).begin()


def refusal(patient: str, refused: Sequence[str], but: Sequence[str] = ()) -> Json:
    def codes(given: Sequence[str]) -> list[Json]:
        return [{"system": ACT_REASON, "code": code} for code in given]

    rule: Json = {"type": "deny", "purpose": codes(refused)}
    exceptions = {"provision": [{"type": "permit", "purpose": codes(but)}]} if but else {}
    return {**consent(patient, kind="deny"), "provision": {**rule, **exceptions}}


async def explained(case: Case, resource: str, purpose: str = "BTG") -> dict[str, str]:
    """By who: `permit`, or the reason why not. The patient asks, who sees their own whatever was refused."""
    owner = of_patient(case.clinic, case.patient)
    query = f"resource={resource}&purpose={purpose}&actor=Practitioner/any"
    answer = await owner.get(f"/fhir/Consent/$decide?{query}")
    assert answer.status_code == 200, answer.text
    said = [
        {part["name"]: next(value for name, value in part.items() if name != "name") for part in one["part"]}
        for one in read(answer)["parameter"]
    ]
    return {str(one["who"]): str(one.get("reason", one["decision"])) for one in said}


async def both(case: Case, purpose: str = "BTG") -> tuple[dict[str, str], dict[str, str]]:
    record = await explained(case, f"Observation/{case.observation}", purpose)
    return record, await explained(case, f"Media/{case.media}", purpose)


async def broke(case: Case) -> Caller:
    who = staff(case.clinic, "practitioner")
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "Fainted"}]}
    assert (await who.post(f"/fhir/Patient/{case.patient}/$break-glass", body)).status_code == 200
    return who


def only(said: dict[str, str], who: set[str] = TO_TREAT) -> set[str]:
    return {said[each] for each in who}


async def test_t_74_where_no_more_than_the_tie_is_missing_it_opens(case: Case) -> None:
    record, photo = await both(case)
    assert await case.statuses(staff(case.clinic, "practitioner")) == (404, 404, 404)

    assert await case.statuses(await broke(case)) == OPEN
    assert set(record.values()) == only(photo) == {"permit"}


async def test_t_74_a_refusal_of_treatment_that_names_emergencies_is_opened(case: Case) -> None:
    await case.desk.store(refusal(case.patient, ["TREAT"], ["BTG"]))

    record, photo = await both(case)
    assert await case.statuses(await broke(case)) == OPEN
    assert only(record) == only(photo) == {"permit"}
    assert (record["clinical-lead"], photo["clinical-lead"]) == ("refused", "refused"), "who breaks no glass"
    assert record["patient"] == "permit"
    assert await both(case, "ETREAT") == (record, photo), "the two codes are one purpose"
    assert [only(said) for said in await both(case, "TREAT")] == [{"refused"}, {"refused"}]


async def test_t_74_a_plain_refusal_of_treatment_is_not(case: Case) -> None:
    await case.desk.store(refusal(case.patient, ["TREAT"]))

    record, photo = await both(case)
    assert await case.statuses(await broke(case)) == SHUT
    assert only(record) == only(photo) == {"refused"}


async def test_t_74_nor_a_refusal_of_emergencies_for_whom_nothing_else_ties(case: Case) -> None:
    who = await broke(case)
    await case.desk.store(refusal(case.patient, ["BTG", "ETREAT"]))

    record, photo = await both(case)
    assert await case.statuses(who) == SHUT
    assert only(record) == only(photo) == {"refused"}
    tied = staff(case.clinic, "practitioner", person="Practitioner/any")
    await case.desk.store(care_team(case.patient, "Practitioner/any"))
    assert await case.statuses(tied) == OPEN
    assert [only(said) for said in await both(case, "TREAT")] == [{"permit"}, {"permit"}]


async def test_t_74_a_restriction_is_not(case: Case) -> None:
    who, desk = await broke(case), Desk(case.clinic, case)
    assert await case.statuses(who) == OPEN

    await desk.done(await desk.opened("restrict"), because="Contests what is written")

    record, photo = await both(case)
    assert await case.statuses(who) == SHUT
    assert only(record) == only(photo) == {"refused"}


async def test_t_74_what_was_erased_is_not_there_to_be_decided_on(clinic: InProcess) -> None:
    record = await Record(clinic).begin()
    owner = of_patient(clinic, record.patient)
    gone = record.paths["appointment"]
    query = f"/fhir/Consent/$decide?purpose=BTG&resource={gone.removeprefix('/fhir/')}"
    case = Case(clinic)
    case.patient = record.patient
    who = await broke(case)
    assert [(await who.get(gone)).status_code, (await owner.get(query)).status_code] == [200, 200]

    assert (await record.erase()).status_code == 200

    assert (await who.get(gone)).status_code in {404, 410}
    assert (await owner.get(query)).status_code == 404


async def test_t_74_marketing_is_decided_as_if_no_glass_were_broken(case: Case) -> None:
    await case.desk.store(refusal(case.patient, ["HMARKT"], ["BTG"]))
    await broke(case)
    sells = staff(case.clinic, "practitioner", person="Practitioner/any", purposes=("HMARKT",))
    await case.desk.store(care_team(case.patient, "Practitioner/any"))

    record, photo = await both(case, "HMARKT")

    assert await case.statuses(sells) == (403, 403, 403)
    assert only(record) == {"refused"}
    assert "permit" not in photo.values()
    assert [only(said) for said in await both(case)] == [{"permit"}, {"permit"}], "which is refused, not treatment"
