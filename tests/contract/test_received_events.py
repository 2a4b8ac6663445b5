"""Port ResourceStore: an AuditEvent that is committed goes into the log, under the log's next number."""

import secrets
from typing import Any

import pytest

from fhir_server.engine.change import Change
from fhir_server.engine.ports import Head
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.fhir.compartments import subjects
from fhir_server.kernel import json
from fhir_server.kernel.errors import StaleVersionError, TooLargeError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from tests.contract.clinics import Noted, Opened, patient, put, writing
from tests.fakes.clinic import BASE

pytestmark = pytest.mark.anyio

PROMISED = "0123456789abcdef0123456789abcdef"


def event(word: str = "x", **more: Any) -> Json:
    what = [{"what": {"reference": "Patient/ann"}}]
    return {"resourceType": "AuditEvent", "action": "R", "outcomeDesc": word, "entity": what, **more}


def sending(resource: Json, promised: str = PROMISED) -> Change:
    """As a client's create, recorded by an entry that names it under the id that was promised."""
    key = ResourceKey("AuditEvent", promised)
    change = Change(key, {**resource, "id": promised}, None, subjects(resource, BASE), "POST")
    return change.recording(Noted(f"of AuditEvent/{promised}"))


async def test_it_is_the_next_number_and_what_is_recorded_of_it_the_one_after(clinic: Opened) -> None:
    [stored] = await clinic.resources.commit([sending(event())])

    events = await clinic.events()
    [(writer, first), (_, second)] = sorted(events)
    assert stored.key == ResourceKey("AuditEvent", f"{writer}-{first}")
    assert (first, second, stored.version, stored.subjects) == (1, 2, 1, ("ann",))
    assert events[writer, first] == {**event(), "id": stored.key.id, "meta": events[writer, first]["meta"]}
    assert events[writer, second]["outcomeDesc"] == f"of {stored.key}"
    read = await clinic.resources.read(stored.key)
    assert read is not None
    assert (read.wire, read.subjects, read.access) == (stored.wire, stored.subjects, stored.access)


async def test_it_is_found_by_what_it_says_and_no_row_of_resources_is_made(clinic: Opened) -> None:
    [stored] = await clinic.resources.commit([sending(event())])

    found = await clinic.resources.find(parse("AuditEvent", [("patient", "ann"), ("action", "R")]), None, 10)

    assert [one.key for one in found.matches] == [stored.key]
    assert await clinic.resources.read(ResourceKey("AuditEvent", PROMISED)) is None
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 1, {})


async def test_several_go_in_together_with_other_changes_in_their_order(clinic: Opened) -> None:
    changes = [
        sending(event("one"), "a" * 32),
        writing(patient("ann")).recording(Noted("two")),
        sending(event("three"), "b" * 32),
    ]

    one, two, three = await clinic.resources.commit(changes)

    said = [each["outcomeDesc"] for _, each in sorted((await clinic.events()).items())]
    assert said == ["one", f"of {one.key}", "two", "three", f"of {three.key}"]
    assert two.key == ResourceKey("Patient", "ann")


async def test_none_goes_in_where_the_rest_cannot(clinic: Opened) -> None:
    await put(clinic, patient("ann"))

    with pytest.raises(StaleVersionError):
        await clinic.resources.commit([sending(event()), writing(patient("ann"))])
    [stored] = await clinic.resources.commit([sending(event("after"))])

    assert [each["outcomeDesc"] for each in (await clinic.events()).values()] == ["after", f"of {stored.key}"]


async def test_its_numbers_come_out_as_they_went_in(clinic: Opened) -> None:
    sent = json.decode(b'{"resourceType":"AuditEvent","extension":[{"url":"urn:x","valueDecimal":-0.0}]}')
    odd = json.decode(b'{"resourceType":"AuditEvent","extension":[{"url":"urn:x","valueDecimal":-0}]}')

    stored = await clinic.resources.commit([sending(sent, "a" * 32), sending(odd, "b" * 32)])

    read = [await clinic.resources.read(one.key) for one in stored]
    assert [b'"valueDecimal":-0.0}' in one.wire for one in read if one] == [True, False]
    assert [b'"valueDecimal":-0}' in one.wire for one in read if one] == [False, True]


@pytest.mark.parametrize("clinic", ["mongodb"], indirect=True)
async def test_one_that_is_too_large_fails_alone(clinic: Opened) -> None:
    with pytest.raises(TooLargeError):
        await clinic.resources.commit([sending(event(secrets.token_urlsafe(13_000_000)))])

    assert await clinic.events() == {}


@pytest.mark.parametrize("size", [1, 2, 10])
async def test_r_fhir_018_the_log_has_a_history_newest_first_in_pages_of_any_size(clinic: Opened, size: int) -> None:
    await put(clinic, patient("ann"))
    await clinic.resources.commit([sending(event("one"))])
    await clinic.resources.commit([sending(event("two"))])

    found: list[Stored] = []
    before = None
    while page := await clinic.resources.versions({"AuditEvent"}, None, Window(), before, size):
        found += page
        before = Position(page[-1].seq, f"{page[-1].key}/1")

    assert [one.resource["outcomeDesc"].split()[0] for one in found] == ["of", "two", "of", "one"]
    assert {(one.version, one.method) for one in found} == {(1, "POST")}


async def test_r_fhir_018_an_event_has_one_version_within_its_window(clinic: Opened) -> None:
    [stored] = await clinic.resources.commit([sending(event())])

    async def found(window: Window, before: Position | None = None) -> list[ResourceKey]:
        page = await clinic.resources.versions({"AuditEvent"}, stored.key.id, window, before, 5)
        return [one.key for one in page]

    assert await found(Window()) == await found(Window(since=stored.seq)) == [stored.key]
    assert await found(Window(at=(stored.seq, stored.seq + 1))) == [stored.key]
    assert await found(Window(at=(0, stored.seq))) == []
    assert await found(Window(since=stored.seq + 10_000)) == []
    assert await found(Window(), Position(stored.seq, f"{stored.key}/1")) == []
