"""Every role, type and interaction, asked of the running application: what docs/roles.md says is what it does.

Rows S7, S60, S107, T56, T58, T70, T75, T104.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
from httpx2 import Response

from fhir_server.fhir.compartments import memberships
from fhir_server.fhir.definitions import compartments, search_parameters, served_types
from fhir_server.fhir.elements import children
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.kernel.json import Json
from fhir_server.smart.roles import SYSTEM
from tests.clinics import Caller, InProcess, read, running
from tests.fakes.clock import NOW
from tests.flows.bundles import batch
from tests.flows.device import Device
from tests.flows.signings import signing
from tests.people import care_team, complaint
from tests.samples import patient
from tests.unit.fhir.specimens import smallest

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs/roles.md").read_text()
ROWS = [
    [cell.strip(" `") for cell in line.strip("|\n").split("|")]
    for line in re.findall(r"^\|.*\|$", PAGE.partition("## Who may do what")[2].partition("## Ties")[0], re.MULTILINE)
]
HEADER = next(row for row in ROWS if SYSTEM in row)
CELLS: dict[tuple[str, str], str] = {
    (role, row[0]): cell
    for row in ROWS
    if row[0] in served_types()
    for role, cell in zip(HEADER[1:], row[1:], strict=True)
}
ROLES = HEADER[1:]
MINE, OTHERS = "mine", "others"
PERSON = {"patient": f"Patient/{MINE}", "related-person": "RelatedPerson/related"}
WRONG = {"nonsense": 1}
"""An element that no type has: what may be tried is then 422, and writes nothing."""

_AT_ONCE = 48
FORBIDDEN, OK, MISSING = 403, 200, 404


class Entry(NamedTuple):
    """One entry of a cell."""

    letters: str
    words: frozenset[str]


def entries(role: str, type: str) -> list[Entry]:
    found = []
    for text in filter(None, CELLS[role, type].split("; ")):
        first, *words = text.split()
        letters = first if first.isalpha() and set(first) <= set("cruds") else ""
        found.append(Entry(letters, frozenset(words if letters else [first, *words])))
    return found


def letters_of(role: str, type: str) -> set[str]:
    return {letter for entry in entries(role, type) for letter in entry.letters}


def lists_versions(role: str, type: str) -> bool:
    searching = [entry for entry in entries(role, type) if "s" in entry.letters]
    asks_tie = any(entry.words & {"tied", "own"} for entry in searching)
    return bool(searching) and not (asks_tie and role in {"practitioner", "nurse"})


def within_one_patient(role: str, type: str) -> bool:
    return any("one" in entry.words for entry in entries(role, type))


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "test_matrix", tmp_path_factory.mktemp("matrix")) as inside:
        yield inside


def caller(clinic: InProcess, role: str) -> Caller:
    if role == SYSTEM:
        return clinic.caller("system/*.cruds", "system/AuditEvent.cruds", role=None)
    own = {"patient": MINE} if role in {"patient", "related-person", "clinical-lead"} else {}
    scopes = ("user/*.cruds", "user/AuditEvent.cruds")
    return clinic.caller(*scopes, role=role, fhir_user=PERSON.get(role, f"Practitioner/{role}"), **own)


Asked: TypeAlias = tuple[str, str, Json | None]


class Ask(NamedTuple):
    """How an interaction is tried, and by which letter."""

    letter: str
    try_: Callable[[Caller, str], Awaitable[Response]]


def _wrong(of: str, id: str = "") -> Json:
    return {"resourceType": of, **({"id": id} if id else {}), **WRONG}


ASKS: dict[str, Ask] = {
    "create": Ask("c", lambda who, of: who.post(f"/fhir/{of}", _wrong(of))),
    "read": Ask("r", lambda who, of: who.get(f"/fhir/{of}/unknown")),
    "vread": Ask("r", lambda who, of: who.get(f"/fhir/{of}/unknown/_history/1")),
    "history-instance": Ask("r", lambda who, of: who.get(f"/fhir/{of}/unknown/_history")),
    "update": Ask("u", lambda who, of: who.put(f"/fhir/{of}/new", _wrong(of, "new"))),
    "patch": Ask(
        "u", lambda who, of: who.ask("PATCH", f"/fhir/{of}/unknown", "[]", Content_Type="application/json-patch+json")
    ),
    "delete": Ask("d", lambda who, of: who.delete(f"/fhir/{of}/unknown")),
    "search-type": Ask("s", lambda who, of: who.get(f"/fhir/{of}?_summary=count&_id=unknown")),
}


_NO_PATCH = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
IN_BATCH: dict[str, Callable[[str], Asked]] = {
    "create": lambda of: ("POST", of, _wrong(of)),
    "read": lambda of: ("GET", f"{of}/unknown", None),
    "vread": lambda of: ("GET", f"{of}/unknown/_history/1", None),
    "history-instance": lambda of: ("GET", f"{of}/unknown/_history", None),
    "update": lambda of: ("PUT", f"{of}/new", _wrong(of, "new")),
    "patch": lambda of: ("PATCH", f"{of}/unknown", _NO_PATCH),
    "delete": lambda of: ("DELETE", f"{of}/unknown", None),
    "search-type": lambda of: ("GET", f"{of}?_summary=count&_id=unknown", None),
    "search-system": lambda of: ("GET", f"?_type={of}&_summary=count&_id=unknown", None),
}
"""The same, as entries of a Bundle; and a search of the system that names the type."""


async def together(asked: Sequence[Awaitable[Response]]) -> list[Response]:
    """All of them, some at a time."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(asking: Awaitable[Response]) -> Response:
        async with room:
            return await asking

    return await asyncio.gather(*map(one, asked))


def test_the_page_has_a_cell_for_every_role_and_type() -> None:
    assert set(CELLS) == {(role, type) for role in ROLES for type in served_types()}
    assert len(ROLES) == 11


@pytest.mark.parametrize("interaction", ASKS)
@pytest.mark.parametrize("role", ROLES)
async def test_s_60_t_40_each_cell_of_the_matrix_is_what_the_server_does(
    clinic: InProcess, role: str, interaction: str
) -> None:
    letter, try_ = ASKS[interaction]
    who, types = caller(clinic, role), sorted(served_types())

    answers = await together([try_(who, type) for type in types])

    allowed = {type for type, answer in zip(types, answers, strict=True) if answer.status_code != FORBIDDEN}
    expected = {type for type in types if letter in letters_of(role, type)}
    if interaction == "read" and "Media" in expected:
        expected.add("Binary")  # a photo's bytes are asked for there, and decided as its Media
    if interaction == "search-type":
        expected -= {type for type in expected if within_one_patient(role, type)}
    assert allowed == expected
    assert not [answer.status_code for answer in answers if answer.status_code >= 500]


def cells_of(role: str, interaction: str) -> set[str]:
    """The types of which the page lets the role try it."""
    letter = ASKS[interaction].letter if interaction in ASKS else "s"
    found = {type for type in served_types() if letter in letters_of(role, type)}
    if interaction == "read" and "Media" in found:
        found.add("Binary")  # a photo's bytes are asked for there, and decided as its Media
    return {type for type in found if letter != "s" or not within_one_patient(role, type)}


async def answered(who: Caller, kind: str, asked: Sequence[Asked]) -> list[int]:
    """The status of each entry; of a Bundle that was refused as a whole that of the answer, once."""
    answer = await who.post("/fhir", batch(kind, *asked))
    if answer.status_code != OK:
        return [answer.status_code]
    return [int(entry["response"]["status"][:3]) for entry in read(answer)["entry"]]


def tried_in_batch(role: str) -> list[tuple[str, str]]:
    """Of each type a search of the system, and one other interaction: by turns, so that each type and role meet all."""
    places = []
    for turn, type in enumerate(sorted(served_types()), start=ROLES.index(role)):
        by_turns = sorted(ASKS)[turn % len(ASKS)]
        finds = type == "AuditEvent" and type in cells_of(role, "search-system")
        # The log is searched in the other tests: to find what all of these recorded takes its time.
        places += [(how, type) for how in (by_turns, "search-system") if not (finds and how.startswith("search"))]
    return places


@pytest.mark.parametrize("role", ROLES)
async def test_s_60_t_40_each_cell_is_the_same_as_an_entry_of_a_batch(clinic: InProcess, role: str) -> None:
    places = tried_in_batch(role)

    statuses = await answered(caller(clinic, role), "batch", [IN_BATCH[how](type) for how, type in places])

    allowed = {place for place, status in zip(places, statuses, strict=True) if status != FORBIDDEN}
    assert allowed == {(how, type) for how, type in places if type in cells_of(role, how)}
    assert {status for status in statuses if status not in {FORBIDDEN, OK, MISSING}} <= {201, 204, 400, 405, 422}


@pytest.mark.parametrize("role", ROLES)
async def test_s_60_r_smart_050_one_forbidden_entry_forbids_the_whole_transaction(clinic: InProcess, role: str) -> None:
    who, types = caller(clinic, role), served_types() - {"AuditEvent"}
    fine = [IN_BATCH["search-type"](type) for type in sorted(cells_of(role, "search-type") & types)[:2]]
    refused = [
        IN_BATCH[how](sorted(others)[ROLES.index(role) % len(others)])
        for how in IN_BATCH
        if how != "search-system" and (others := types - cells_of(role, how) - {"Binary"})
    ]

    statuses = [await answered(who, "transaction", [*fine, each]) for each in refused]

    assert await answered(who, "transaction", fine) == [OK] * len(fine)
    assert statuses == [[FORBIDDEN]] * len(refused)
    assert len(refused) == (0 if role == SYSTEM else len(ASKS))


@pytest.mark.parametrize("role", ROLES)
async def test_s_60_a_search_of_the_system_names_no_type_beyond_the_page(clinic: InProcess, role: str) -> None:
    who, allowed = caller(clinic, role), sorted(cells_of(role, "search-type") - {"AuditEvent"})
    beyond = sorted(served_types() - {*allowed, "AuditEvent"})

    whole = await who.get(f"/fhir?_type={','.join(allowed)}&_id=unknown")
    mixed = [await who.get(f"/fhir?_type={allowed[0]},{type}&_id=unknown") for type in beyond[-1:]]

    assert (whole.status_code, "entry" in read(whole)) == (OK, False)
    assert {answer.status_code for answer in mixed} <= {FORBIDDEN}


@pytest.mark.parametrize("role", ROLES)
async def test_s_60_versions_of_a_whole_type_are_listed_where_the_page_says(clinic: InProcess, role: str) -> None:
    who, types = caller(clinic, role), sorted(served_types())

    answers = await together([who.get(f"/fhir/{type}/_history?_count=1") for type in types])

    allowed = {type for type, answer in zip(types, answers, strict=True) if answer.status_code != FORBIDDEN}
    assert allowed == {type for type in types if lists_versions(role, type)}


@pytest.mark.parametrize("role", ROLES)
async def test_s_60_versions_of_everything_are_a_back_ends(clinic: InProcess, role: str) -> None:
    answer = await caller(clinic, role).get("/fhir/_history?_count=1")

    assert (answer.status_code == OK) is (role == SYSTEM)


@pytest.mark.parametrize("role", ROLES)
async def test_s_7_without_a_scope_every_type_is_forbidden_to_every_role(clinic: InProcess, role: str) -> None:
    holder = clinic.caller("openid", "launch/patient", role=role, patient=MINE, fhir_user="Practitioner/nobody")

    answers = await together([holder.get(f"/fhir/{type}/unknown") for type in sorted(served_types())])

    assert {answer.status_code for answer in answers} == {FORBIDDEN}


def _parameters(**given: Json) -> Json:
    listed = [{"name": name.replace("_", "-"), **value} for name, value in given.items()]
    return {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}


_UNKNOWN = {"valueReference": {"reference": "Appointment/unknown"}}
_TO = {"valueReference": {"reference": f"Patient/{MINE}"}}
_DEVICE = {"valueReference": {"reference": "Device/unknown"}}
_ASKED_BY_GET = {
    "Basic/$compliance-report": "$compliance-report",
    "Basic/$regulator-export": "$regulator-export",
    "Media/$timeline": f"Media/$timeline?patient=Patient/{MINE}",
    "Medication/$lot-patients": "Medication/$lot-patients?lot=L1",
    "Patient/unknown/$export-my-data": "Patient/unknown/$export-my-data",
    "Patient/unknown/$lots": "Patient/unknown/$lots",
    "Procedure/unknown/$insurance-check": "Procedure/unknown/$insurance-check",
    "Procedure/unknown/$professional-check": "Procedure/unknown/$professional-check",
    "Task/unknown/$breach-scope": "Task/unknown/$breach-scope",
    "Task/unknown/$breach-notification": "Task/unknown/$breach-notification",
}
_PAIR = _parameters(
    **{f"{one}-patient": {"valueReference": {"reference": f"Patient/{one}"}} for one in ("source", "target")}
)
OPERATIONS: dict[str, Json] = {
    "Appointment/$book": _parameters(appointment_reference=_UNKNOWN),
    "Appointment/$hold": _parameters(appointment_reference=_UNKNOWN),
    "Appointment/unknown/$cancel": _parameters(),
    "Consent/$sign": signing(MINE, NOW, {}),
    "Consent/unknown/$withdraw": _parameters(),
    "Media/$capture-session": _parameters(patient=_TO, device=_DEVICE),
    "Media/unknown/$compare": _parameters(other={"valueReference": {"reference": "Media/unknown"}}),
    "Media/unknown/$propose-areas": _parameters(),
    "Media/unknown/$reassign": _parameters(patient=_TO, reason={"valueString": "Mistaken"}),
    "Media/unknown/$rendition": _parameters(kind={"valueCode": "thumbnail"}),
    "Media/unknown/$share": _parameters(channel={"valueCode": "email"}),
    "Media/unknown/$upload": _parameters(),
    "Medication/$lot-recall": _parameters(lot={"valueString": "L1"}),
    f"Patient/{MINE}/$break-glass": _parameters(),
    "Patient/$merge": _PAIR,
    "Patient/$unmerge": _PAIR,
    "Patient/unknown/$erase": _parameters(dryRun={"valueBoolean": True}),
    "Patient/unknown/$health-link": _parameters(passcode={"valueString": "correct horse"}),
    "Patient/unknown/$rights-request": _parameters(right={"valueCode": "access"}),
    "Patient/unknown/$summary": _parameters(),
    "Procedure/unknown/$evidence-pack": _parameters(
        recipient={"valueReference": {"reference": "Organization/unknown"}},
        purpose={"valueString": "HLEGAL"},
        basis={"valueString": "legal-claim"},
    ),
    "Task/unknown/$breach-letters": _parameters(),
    "Task/unknown/$fulfil": _parameters(dryRun={"valueBoolean": True}),
    "Task/unknown/$rights-step": _parameters(step={"valueCode": "identify"}, because={"valueString": "Known"}),
}
"""Each in a form that is understood, of something that is not there: only who may ask is told so."""


_TRIED = sorted({*OPERATIONS, *_ASKED_BY_GET})


def test_s_60_every_operation_of_the_matrix_is_tried() -> None:
    named = {word for role, type in CELLS for entry in entries(role, type) for word in entry.words}

    assert {word for word in named if word.startswith("$")} == {path.rpartition("/")[2] for path in _TRIED}


_ASKED_BY_RULES: dict[str, Json] = {"Group": {"actual": True}}


def compartment_types() -> list[str]:
    return sorted(type for type in served_types() if "Patient" in compartments(type) and type != "AuditEvent")


def about(type: str, patient_id: str) -> Json:
    """The smallest resource of a type that lies in a patient's compartment."""
    resource = {**smallest(type), **_ASKED_BY_RULES.get(type, {}), "id": f"{type.lower()}-{patient_id}"}
    if type == "Patient":
        return {"resourceType": "Patient", "id": patient_id}
    for code in compartments(type)["Patient"]:
        for lane in compile_path(search_parameters(type)[code].expression, type).lanes:
            made = _with(resource, type, lane.names, {"reference": f"Patient/{patient_id}"})
            if memberships(made) and f"Patient/{patient_id}" in memberships(made):
                return made
    raise AssertionError(type)


def _with(node: Json, type: str, names: Sequence[str], reference: Json) -> Json:
    first, *rest = names
    [element] = [each for group in children(type).values() for each in group if each.json_name == first]
    inside = node.get(first)
    inside = (inside or [{}])[0] if element.many else inside or {}
    value = _with(inside, element.type, rest, reference) if rest else reference
    return {**node, first: [value] if element.many else value}


@pytest.fixture(scope="module")
async def filled(clinic: InProcess) -> InProcess:
    """One resource of every type that lies in a file, for a patient who is everybody's, and for one who is nobody's."""
    desk = clinic.caller()
    now = clinic.clinic.surface.clock.now()
    for id in (MINE, OTHERS):
        await desk.store(patient("Matrix", id=id))
    for role in ("practitioner", "nurse"):
        await desk.store(care_team(MINE, f"Practitioner/{role}", id=f"team-{role}"))
    await desk.store(complaint(MINE, "Practitioner/clinical-lead", now, now + timedelta(hours=1), id="complaint"))
    related = {
        "resourceType": "RelatedPerson",
        "id": "related",
        "active": True,
        "patient": {"reference": f"Patient/{MINE}"},
    }
    await desk.store(related)
    resources = [about(type, id) for type in compartment_types() for id in (MINE, OTHERS)]
    stored = await together([desk.put(f"/fhir/{one['resourceType']}/{one['id']}", one) for one in resources])
    assert {answer.status_code for answer in stored} <= {200, 201}, [a.text for a in stored if a.status_code >= 400]
    return clinic


def id_of(type: str, patient_id: str) -> str:
    return patient_id if type == "Patient" else f"{type.lower()}-{patient_id}"


def reached(role: str, type: str, letter: str) -> set[str]:
    """Whose resource of the type the page says is reached by this letter."""
    found: set[str] = set()
    for entry in entries(role, type):
        if letter in entry.letters and "if" not in entry.words and "free" not in entry.words:
            found |= {MINE} if entry.words & {"tied", "own"} else {MINE, OTHERS}
    return found


@pytest.mark.parametrize("operation", _TRIED)
async def test_s_60_each_operation_is_open_to_the_roles_that_have_it(filled: InProcess, operation: str) -> None:
    type, name = operation.partition("/")[0], operation.rpartition("/")[2]

    async def tried(who: Caller) -> Response:
        if asked := _ASKED_BY_GET.get(operation):
            return await who.get(f"/fhir/{asked}")
        if name == "$upload":
            return await who.post(f"/fhir/{operation}", b"bytes", Content_Type="image/jpeg")
        proof = {"DPoP": Device(filled).proof("POST", f"/{operation}")} if name == "$capture-session" else {}
        return await who.post(f"/fhir/{operation}", OPERATIONS[operation], **proof)

    answers = await together([tried(caller(filled, role)) for role in ROLES])

    statuses = dict(zip(ROLES, [answer.status_code for answer in answers], strict=True))
    has = {role for role in ROLES if any(name in entry.words for entry in entries(role, type))}
    assert {role for role, status in statuses.items() if status != FORBIDDEN} == has, statuses


@pytest.mark.parametrize("role", ROLES)
async def test_t_70_who_reads_in_whose_file_is_as_the_page_says(filled: InProcess, role: str) -> None:
    who, types = caller(filled, role), compartment_types()
    places = [(type, whose) for type in types for whose in (MINE, OTHERS)]

    answers = await together([who.get(f"/fhir/{type}/{id_of(type, whose)}") for type, whose in places])

    expected = {
        (type, whose): OK
        if whose in reached(role, type, "r")
        else MISSING
        if "r" in letters_of(role, type)
        else FORBIDDEN
        for type, whose in places
    }
    assert {place: answer.status_code for place, answer in zip(places, answers, strict=True)} == expected


@pytest.mark.parametrize("role", ROLES)
async def test_t_70_who_finds_what_in_whose_file_is_as_the_page_says(filled: InProcess, role: str) -> None:
    who, types = caller(filled, role), [type for type in compartment_types() if "s" in letters_of(role, type)]
    within = [f"patient=Patient/{MINE}" if within_one_patient(role, type) else "" for type in types]

    answers = await together(
        [
            who.get(f"/fhir/{type}?_id={id_of(type, MINE)},{id_of(type, OTHERS)}&{more}")
            for type, more in zip(types, within, strict=True)
        ]
    )

    for type, answer in zip(types, answers, strict=True):
        assert answer.status_code == OK, (type, answer.text)
        whose = reached(role, type, "s") - ({OTHERS} if within_one_patient(role, type) else set())
        bundle = read(answer)
        assert {entry["resource"]["id"] for entry in bundle.get("entry", [])} == {
            id_of(type, each) for each in whose
        }, type
        assert bundle["total"] == len(whose), type


@pytest.mark.parametrize("role", ROLES)
async def test_t_70_a_search_of_everything_finds_in_whose_file_as_the_page_says(filled: InProcess, role: str) -> None:
    places = {f"{type}/{id_of(type, whose)}" for type in compartment_types() for whose in (MINE, OTHERS)}

    answer = await caller(filled, role).get("/fhir?_count=1000")

    assert answer.status_code == OK, answer.text
    keys = {f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in read(answer).get("entry", [])}
    assert keys & places == {
        f"{type}/{id_of(type, whose)}"
        for type in compartment_types()
        if not within_one_patient(role, type)
        for whose in reached(role, type, "s")
    }


@pytest.mark.parametrize("role", ROLES)
async def test_t_104_who_writes_into_whose_file_is_as_the_page_says(filled: InProcess, role: str) -> None:
    who = caller(filled, role)
    types = [type for type in compartment_types() if "u" in letters_of(role, type) and type != "Patient"]

    for type in types:
        other = about(type, OTHERS)
        may = OTHERS in reached(role, type, "u")
        changed = await who.put(f"/fhir/{type}/{other['id']}", other)
        assert (changed.status_code == OK) is may, (type, changed.text)
        moved = await who.put(f"/fhir/{type}/{id_of(type, MINE)}", {**other, "id": id_of(type, MINE)})
        assert (moved.status_code in {OK, 422}) is may, (type, moved.text)
