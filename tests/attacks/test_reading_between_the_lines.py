"""People whose role hides an element, who look for it where it is said once more: narrative, contained, extensions."""

from collections.abc import Sequence

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK
from tests.clinics import Caller, InProcess, read
from tests.people import Case, appointment, staff
from tests.samples import consent, jpeg, media, patient, published

pytestmark = pytest.mark.anyio

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
PATCH = "application/json-patch+json"
SAID = {"status": "additional", "div": DIV.format(MARK)}
OURS = {"status": "generated", "div": DIV.format(MARK)}
ELSEWHERE = {"url": "https://elsewhere.example/said", "valueString": MARK}
RELEASED = {"system": "urn:aesthetic-fhir-server:release", "code": "released"}
WITHIN = {"resourceType": "Condition", "id": "c", "subject": {"display": MARK}, "code": {"text": MARK}}

WAYS: dict[str, Json] = {
    "element": {"reasonCode": [{"text": MARK}]},
    "comment": {"comment": MARK},
    "narrative of the server": {"description": MARK},
    "narrative of the client": {"text": SAID, "reasonCode": [{"text": "x"}]},
    "narrative alone": {"text": SAID},
    "narrative that says it is generated": {"text": OURS},
    "contained": {"contained": [WITHIN], "reasonReference": [{"reference": "#c"}]},
    "extension": {"extension": [ELSEWHERE]},
    "extension of a hidden value": {"description": "x", "_description": {"extension": [ELSEWHERE]}},
    "hidden value that is an extension alone": {"_comment": {"extension": [ELSEWHERE]}},
}
"""Where an Appointment may tell why somebody comes."""


@pytest.fixture(scope="module")
async def case(clinic: InProcess) -> Case:
    return await Case(clinic).begin("Quiet")


@pytest.fixture(scope="module")
async def booked(case: Case) -> dict[str, str]:
    """Way of saying it -> id of the Appointment that does; each says it twice, so that there are versions too."""
    found = {}
    for way, said in WAYS.items():
        one = await case.desk.store(appointment(case.patient, "Practitioner/somebody", case.now, **said))
        again = {**one, "minutesDuration": 20}
        assert (await case.desk.put(f"/fhir/Appointment/{one['id']}", again)).status_code == 200
        found[way] = one["id"]
    return found


def ways_to(id: str) -> Sequence[str]:
    return (
        f"Appointment/{id}",
        f"Appointment/{id}?_summary=text",
        f"Appointment/{id}?_summary=data",
        f"Appointment/{id}?_summary=true",
        f"Appointment/{id}?_elements=text,reasonCode,description,comment,contained,extension",
        f"Appointment/{id}/_history",
        f"Appointment/{id}/_history/1",
        f"Appointment?_id={id}",
        f"Appointment?_id={id}&_elements=text,reasonCode",
        f"Appointment?_id={id}&_summary=text",
        f"Appointment?_id={id}&_include=*&_revinclude=*",
        "Appointment/_history?_count=50",
    )


@pytest.mark.parametrize("way", WAYS)
async def test_s_60_what_is_hidden_is_said_nowhere_else(clinic: InProcess, booked: dict[str, str], way: str) -> None:
    desk = staff(clinic, "receptionist")

    for path in ways_to(booked[way]):
        answer = await desk.get(f"/fhir/{path}")
        assert answer.status_code == 200, path
        assert booked[way] in answer.text, path
        assert MARK not in answer.text, path


@pytest.mark.parametrize("way", WAYS)
async def test_a_write_does_not_bring_it_back(clinic: InProcess, booked: dict[str, str], way: str) -> None:
    """Neither in the answer nor as part of what the receptionist may change."""
    desk, wanted = staff(clinic, "receptionist"), {"Prefer": "return=representation"}
    path = f"/fhir/Appointment/{booked[way]}"
    before = read(await clinic.caller().get(path))
    shown = read(await desk.get(path))
    shown["meta"].pop("tag", None)

    put = await desk.put(path, {**shown, "minutesDuration": 25}, **wanted)
    edit = '[{"op": "replace", "path": "/minutesDuration", "value": 30}]'
    patched = await desk.ask("PATCH", path, edit, Content_Type=PATCH, **wanted)

    for answer in (put, patched):
        assert answer.status_code == 200, answer.text
        assert MARK not in answer.text
    after = read(await clinic.caller().get(path))
    assert after["minutesDuration"] == 30
    assert MARK in json.encode(after).decode()
    rest = after.keys() - {"meta", "minutesDuration", "text"}
    assert {name: after[name] for name in rest} == {name: before[name] for name in rest}


@pytest.mark.parametrize(
    ("op", "path", "value"),
    [
        ("test", "/reasonCode/0/text", MARK),
        ("test", "/text/div", DIV.format(MARK)),
        ("copy", "/reasonCode", None),
        ("move", "/description", None),
        ("test", "/extension/0/valueString", MARK),
    ],
)
async def test_a_patch_answers_alike_whether_it_is_so_or_not(
    clinic: InProcess, booked: dict[str, str], op: str, path: str, value: str | None
) -> None:
    desk = staff(clinic, "receptionist")
    step = {"op": op, **({"path": path, "value": value} if value else {"from": path, "path": "/cancelationReason"})}

    answers = [
        await desk.ask("PATCH", f"/fhir/Appointment/{id}", json.encode([step]).decode(), Content_Type=PATCH)
        for id in booked.values()
    ]

    assert {answer.status_code for answer in answers} <= {400, 403, 409, 422}
    assert len({answer.status_code for answer in answers}) == 1
    assert not [answer for answer in answers if MARK in answer.text]


@pytest.fixture
async def released(clinic: InProcess, case: Case) -> str:
    """A photo of somebody, released, that says in many ways who that is and what for it was taken."""
    desk = clinic.caller()
    person = (await desk.store(patient(MARK)))["id"]
    await desk.store(consent(person))
    await desk.store(consent(person, "photo-marketing", **published()))
    operator = {"reference": f"Practitioner/{random_id()}", "display": MARK}
    shown = media(
        person,
        jpeg(),
        meta={"tag": [RELEASED]},
        text=SAID,
        contained=[{"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": MARK}}],
        encounter={"reference": "#e"},
        extension=[ELSEWHERE],
        identifier=[{"value": MARK}],
        deviceName=MARK,
        operator=operator,
        reasonCode=[{"text": MARK}],
        note=[{"text": MARK}],
    )
    said = {"title": MARK, "creation": "2026-01-31", "extension": [ELSEWHERE]}
    photo = await desk.store({**shown, "content": {**shown["content"], **said}})
    assert photo["content"]["title"] == MARK
    return str(photo["id"])


async def test_s_9_a_released_photo_says_in_no_way_whom_it_shows(clinic: InProcess, released: str) -> None:
    who = staff(clinic, "marketing")
    whole = read(await clinic.caller().get(f"/fhir/Media/{released}"))
    person, operator = whole["subject"]["reference"], whole["operator"]["reference"]

    for path in (
        f"Media/{released}",
        f"Media/{released}/_history",
        f"Media/{released}/_history/1",
        f"Media?_id={released}",
        f"Media?_id={released}&_include=*&_revinclude=*",
        f"Media?_id={released}&_elements=text,subject,operator",
    ):
        answer = await who.get(f"/fhir/{path}")
        assert answer.status_code == 200, path
        assert released in answer.text, path
        assert not [one for one in (MARK, person, operator, "2026-01-31") if one in answer.text], path
    shown = read(await who.get(f"/fhir/Media/{released}"))["content"]
    assert shown == {name: whole["content"][name] for name in ("contentType", "url", "size", "hash")}


@pytest.mark.parametrize(
    "query",
    [
        "Practitioner?_has:Media:operator:status=completed&_id={operator}",
        "Practitioner?_has:Media:operator:_id={media}",
        "Practitioner?_id={operator}&_revinclude=Media:operator",
        "Practitioner?_id={operator}&_revinclude=*",
        "Practitioner/{operator}/Media?_id={media}",
    ],
)
async def test_a_hidden_reference_is_not_gone_back_along(
    clinic: InProcess, case: Case, released: str, query: str
) -> None:
    """From what is seen to what refers to it by an element that is not."""
    operator = await _operator_of(clinic, released)
    who: Caller = staff(clinic, "marketing")

    answer = await who.get(f"/fhir/{query.format(operator=operator, media=released)}")

    assert answer.status_code in {200, 400, 403}
    for entry in read(answer).get("entry", []):
        assert "_has" not in query, "whom the photo names was found by it"
        assert entry["resource"]["id"] != released


async def _operator_of(clinic: InProcess, released: str) -> str:
    reference: str = read(await clinic.caller().get(f"/fhir/Media/{released}"))["operator"]["reference"]
    id = reference.partition("/")[2]
    practitioner = {"resourceType": "Practitioner", "id": id, "name": [{"family": "Seen"}]}
    assert (await clinic.caller().put(f"/fhir/Practitioner/{id}", practitioner)).status_code == 201
    return id
