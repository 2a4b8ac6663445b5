"""Who asked to be told is told, after the commit, of what they may see and of nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_server.chosen import THE_SERVER
from fhir_server.kernel import json
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.notifying import notifying
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.hooks import Hooks
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.subscriptions.holder import SUBSCRIBER
from fhir_server.subscriptions.notifier import Notifier
from fhir_server.subscriptions.ports import Changes, Place
from fhir_server.subscriptions.subscriber import MOST_TRIES
from tests.clinics import EVERYTHING, Caller, InProcess, read, running
from tests.flows.receiving import Came, Receiver, receiving
from tests.samples import consent, jpeg, media, patient
from tests.trail import named, said

pytestmark = pytest.mark.anyio

APPOINTMENT = {
    "resourceType": "Appointment",
    "start": "2030-03-14T09:00:00Z",
    "end": "2030-03-14T09:30:00Z",
    "participant": [{"type": [{"text": "Injector"}], "status": "accepted"}],
}


@pytest.fixture(scope="module")
async def telling(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("subscriptions")
    async with running(mongo_uri, "test_subscriptions", data_dir, notify_loopback=True) as inside:
        yield inside


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def clinic(telling: InProcess) -> AsyncIterator[InProcess]:
    """Without what the test before subscribed to."""
    yield telling
    caller = telling.caller(client="mapper")
    bundle = read(await caller.get("/fhir/Subscription?_count=100"))
    for entry in bundle.get("entry", []):
        await caller.delete(f"/fhir/Subscription/{entry['resource']['id']}")
    await telling.clinic.notifier.once()


def registered(clinic: InProcess, name: str = "mapper", *scopes: str, **more: Any) -> None:
    """Registered so from now on, whatever it was before."""
    before = clinic.clinic.store.clients.get(name)
    revision = before.revision + 1 if before else 1
    client = Client(name, Kind.BACKEND, name, scopes or EVERYTHING, revision=revision, **more)
    assert clinic.clinic.store.clients.save(client)


def subscription(receiver: Receiver | str, criteria: str = "Appointment?status=booked", **channel: Any) -> Json:
    endpoint = receiver if isinstance(receiver, str) else receiver.url
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "To keep the calendar",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, **channel},
    }


async def subscribed(
    clinic: InProcess, receiver: Receiver, criteria: str = "Appointment?status=booked", **more: Any
) -> Json:
    """By a client that is registered, and greeted."""
    registered(clinic)
    caller = clinic.caller(client="mapper")
    stored = await caller.store(subscription(receiver, criteria, **more))
    await clinic.clinic.notifier.once()
    return await state(clinic, stored)


async def state(clinic: InProcess, stored: Json) -> Json:
    found: Json = read(await clinic.caller(client="mapper").get(f"/fhir/Subscription/{stored['id']}"))
    return found


async def booked(caller: Caller, **more: Any) -> str:
    stored = await caller.store({**APPOINTMENT, "status": "booked", **more})
    return f"Appointment/{stored['id']}"


async def due_now(clinic: InProcess) -> None:
    """Whoever waits for another try has it in the next round."""
    await clinic.mongo[clinic.database]["subscriptions"].update_many({}, {"$set": {"due": None}})
    clinic.clinic.notifier._roster.clear()


class Late:
    """As if what is hidden had its seq by now, and were still to be committed."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self.hidden = changes, ""
        self.current, self.open = changes.current, changes.open

    async def since(self, type: str, seq: int, after: Place | None, limit: int) -> Sequence[Place]:
        found = await self._changes.since(type, seq, after, limit)
        return [place for place in found if str(place.key) != self.hidden]


def another_worker(clinic: InProcess, changes: Late | None = None) -> Notifier:
    """On the same database, with nothing but that in common."""
    settings, store = clinic.clinic.settings, clinic.clinic.store
    hooks, surface = Hooks(Egress(loopback=True)), clinic.clinic.surface
    store = replace(store, changes=changes or store.changes)  # type: ignore[arg-type]  # it stands for the rows
    return notifying(store, surface.engine, hooks, THE_SERVER, settings.base_url, surface.clock).notifier


async def leads_no_more(clinic: InProcess) -> None:
    clinic.clinic.notifier._until = None
    await clinic.mongo[clinic.database]["subscriptions"].delete_one({"_id": "#lead"})


async def test_after_a_handshake_each_event_is_told_by_id_and_number(clinic: InProcess, receiver: Receiver) -> None:
    stored = await subscribed(clinic, receiver, header=["Authorization: Bearer opens-the-hook"])
    assert stored["status"] == "active"
    assert [(one.method, one.path, one.body) for one in receiver.came] == [("POST", "/hook", b"")]

    first, second = await booked(clinic.caller()), await booked(clinic.caller())
    await clinic.caller().store({**APPOINTMENT, "status": "proposed"})
    await clinic.clinic.notifier.once()

    assert [(one.number, one.focus) for one in receiver.events] == [(1, first), (2, second)]
    assert {(one.method, one.path, one.body) for one in receiver.events} == {("POST", "/hook", b"")}
    assert {one.headers["authorization"] for one in receiver.came} == {"Bearer opens-the-hook"}


async def test_what_was_told_is_not_told_again_by_a_worker_that_starts(clinic: InProcess, receiver: Receiver) -> None:
    await subscribed(clinic, receiver)
    await booked(clinic.caller())
    await clinic.clinic.notifier.once()

    clinic.clinic.notifier._roster.clear()
    await clinic.clinic.notifier.once()

    assert [one.number for one in receiver.events] == [1]


async def test_with_a_payload_the_resource_is_put_under_the_endpoint(clinic: InProcess, receiver: Receiver) -> None:
    await subscribed(clinic, receiver, payload="application/fhir+json")
    focus = await booked(clinic.caller(), description="First visit")

    await clinic.clinic.notifier.once()

    [event] = receiver.events
    assert (event.method, event.path) == ("PUT", f"/hook/{focus}")
    assert event.headers["content-type"] == "application/fhir+json"
    assert json.decode(event.body) == read(await clinic.caller().get(f"/fhir/{focus}"))


async def test_t_58_each_notification_is_in_the_log_as_the_clients_own_read(
    clinic: InProcess, receiver: Receiver
) -> None:
    await subscribed(clinic, receiver, "Patient?family=Told")
    person = (await clinic.caller().store(patient("Told")))["id"]

    async with clinic.trail.recording() as recorded:
        await clinic.clinic.notifier.once()

    [event] = [one for one in recorded.events if f"Patient/{person}" in named(one)]
    assert said(event) == ("read", "0")
    assert "mapper" in json.encode(event["agent"]).decode()


async def test_a_photo_without_consent_is_not_told_of(clinic: InProcess, receiver: Receiver) -> None:
    doctor = clinic.caller()
    await subscribed(clinic, receiver, "Media?status=completed")
    person = (await doctor.store(patient()))["id"]
    agreed = await doctor.store(consent(person))
    taken = await doctor.store(media(person, jpeg()))
    await clinic.clinic.notifier.once()
    assert [one.focus for one in receiver.events] == [f"Media/{taken['id']}"]

    later = await doctor.store(media(person, jpeg(900)))
    await doctor.post(f"/fhir/Consent/{agreed['id']}/$withdraw")
    await clinic.clinic.notifier.once()

    assert len(receiver.events) == 1
    told = read(await clinic.caller(client="mapper").get(f"/fhir/Media/{later['id']}"))
    assert told["resourceType"] == "OperationOutcome"


async def test_what_was_withdrawn_between_two_tries_is_not_sent(clinic: InProcess, receiver: Receiver) -> None:
    doctor = clinic.caller()
    stored = await subscribed(clinic, receiver, "Media?status=completed", payload="application/fhir+json")
    person = (await doctor.store(patient()))["id"]
    agreed = await doctor.store(consent(person))
    receiver.status = 503
    await doctor.store(media(person, jpeg()))
    await clinic.clinic.notifier.once()
    assert len(receiver.events) == 1
    await doctor.post(f"/fhir/Consent/{agreed['id']}/$withdraw")

    receiver.status = 200
    await due_now(clinic)
    await clinic.clinic.notifier.once()

    assert len(receiver.events) == 1
    caught_up = read(await clinic.caller(client="mapper").get(f"/fhir/Subscription/{stored['id']}/$events"))
    assert [one["name"] for one in caught_up["parameter"]] == ["last"]


async def test_a_token_that_sees_a_part_subscribes_to_that_part(clinic: InProcess, receiver: Receiver) -> None:
    registered(clinic)
    narrow = clinic.caller("system/Appointment.rs?status=booked", "system/Subscription.crs", client="mapper")
    await narrow.store(subscription(receiver, "Appointment?"))
    await clinic.clinic.notifier.once()

    await clinic.caller().store({**APPOINTMENT, "status": "proposed"})
    seen = await booked(clinic.caller())
    await clinic.clinic.notifier.once()

    assert [one.focus for one in receiver.events] == [seen]
    assert (await narrow.post("/fhir/Subscription", subscription(receiver, "Patient?family=x"))).status_code == 403


async def test_a_registration_that_shrinks_takes_its_subscriptions_along(clinic: InProcess, receiver: Receiver) -> None:
    await subscribed(clinic, receiver)
    registered(clinic, "mapper", "system/Patient.rs")

    await booked(clinic.caller())
    await clinic.clinic.notifier.once()

    assert receiver.events == []


async def test_a_disabled_client_is_told_nothing(clinic: InProcess, receiver: Receiver) -> None:
    stored = await subscribed(clinic, receiver)
    registered(clinic, disabled=True)

    await booked(clinic.caller())
    await clinic.clinic.notifier.once()

    assert receiver.events == []
    assert (await state(clinic, stored))["status"] == "off"


async def test_another_client_sees_no_subscription_and_cannot_take_it(clinic: InProcess, receiver: Receiver) -> None:
    stored = await subscribed(clinic, receiver, header=["Authorization: Bearer opens-the-hook"])
    other = clinic.caller(client="another")
    path = f"/fhir/Subscription/{stored['id']}"

    assert (await other.get(path)).status_code == 404
    assert (await other.get(f"{path}/_history/1")).status_code == 404
    assert "entry" not in read(await other.get("/fhir/Subscription"))
    assert (await other.get(f"{path}/$events")).status_code == 404
    assert (await other.put(path, {**subscription(receiver), "id": stored["id"]})).status_code == 404
    await other.delete(path)
    assert (await state(clinic, stored))["status"] == "active"


async def test_rights_that_a_client_writes_into_it_are_not_believed(clinic: InProcess, receiver: Receiver) -> None:
    registered(clinic)
    narrow = clinic.caller("system/Appointment.rs?status=booked", "system/Subscription.crus", client="mapper")
    parts = [{"url": "client", "valueString": "mapper"}, {"url": "scope", "valueString": "system/*.cruds"}]
    given = {**subscription(receiver), "extension": [{"url": SUBSCRIBER, "extension": parts}]}

    stored = await narrow.store(given)

    [extension] = stored["extension"]
    scopes = [part["valueString"] for part in extension["extension"] if part["url"] == "scope"]
    assert scopes == ["system/Appointment.rs?status=booked", "system/Subscription.crus"]


async def test_a_receiver_that_is_down_gets_everything_in_order_when_it_is_back(
    clinic: InProcess, receiver: Receiver
) -> None:
    await subscribed(clinic, receiver)
    receiver.status = 500
    focuses = [await booked(clinic.caller()) for _ in range(3)]
    await clinic.clinic.notifier.once()
    await clinic.clinic.notifier.once()
    assert [one.number for one in receiver.events] == [1]

    receiver.status = 200
    await due_now(clinic)
    await clinic.clinic.notifier.once()

    assert [(one.number, one.focus) for one in receiver.events[1:]] == list(enumerate(focuses, 1))


async def test_one_that_never_answers_is_in_error_and_catches_up_by_number(
    clinic: InProcess, receiver: Receiver
) -> None:
    stored = await subscribed(clinic, receiver)
    receiver.status = 500
    first = await booked(clinic.caller())
    for _ in range(MOST_TRIES):
        await due_now(clinic)
        await clinic.clinic.notifier.once()

    failed = await state(clinic, stored)
    assert (failed["status"], bool(failed["error"])) == ("error", True)
    mapper = clinic.caller(client="mapper")
    told = read(await mapper.get(f"/fhir/Subscription/{stored['id']}/$events?since=0"))["parameter"]
    assert [part["valueReference"]["reference"] for one in told[:-1] for part in one["part"][1:2]] == [first]
    assert told[-1] == {"name": "last", "valueInteger": 1}

    receiver.status = 200
    second = await booked(clinic.caller())
    again = {name: value for name, value in failed.items() if name != "error"}
    assert (await mapper.put(f"/fhir/Subscription/{stored['id']}", {**again, "status": "requested"})).status_code == 200
    await clinic.clinic.notifier.once()
    await clinic.clinic.notifier.once()

    assert [one.focus for one in receiver.events[-2:]] == [first, second]
    assert (await state(clinic, stored))["status"] == "active"


async def test_one_that_is_off_is_told_nothing_and_one_that_is_deleted_neither(
    clinic: InProcess, receiver: Receiver
) -> None:
    stored = await subscribed(clinic, receiver)
    mapper, path = clinic.caller(client="mapper"), f"/fhir/Subscription/{stored['id']}"
    await mapper.put(path, {**stored, "status": "off"})
    await booked(clinic.caller())
    await clinic.clinic.notifier.once()
    await mapper.delete(path)
    await clinic.clinic.notifier.once()

    assert receiver.events == []
    assert await clinic.mongo[clinic.database]["notifications"].count_documents({"subscription": stored["id"]}) == 0


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
async def test_a_handshake_that_is_not_answered_with_success_is_none(
    clinic: InProcess, receiver: Receiver, status: int
) -> None:
    receiver.status, receiver.location = status, receiver.url

    stored = await subscribed(clinic, receiver)

    assert stored["status"] == "requested"
    assert len(receiver.came) == 1


async def test_the_loop_tells_within_its_round_and_two_never_tell_at_once(
    clinic: InProcess, receiver: Receiver
) -> None:
    await subscribed(clinic, receiver)
    other = another_worker(clinic)
    loops = [asyncio.create_task(one.run()) for one in (clinic.clinic.notifier, other)]

    await asyncio.gather(*(booked(clinic.caller()) for _ in range(20)))
    for _ in range(1200):
        if len(receiver.events) >= 20:
            break
        await asyncio.sleep(0.05)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)

    assert [one.number for one in receiver.events] == list(range(1, 21))


async def test_a_worker_that_is_killed_while_it_tells_is_followed_by_another(
    clinic: InProcess, receiver: Receiver
) -> None:
    await subscribed(clinic, receiver)
    focuses = [await booked(clinic.caller()) for _ in range(2)]
    receiver.answering.clear()
    killed = asyncio.create_task(clinic.clinic.notifier.once())
    await receiver.told.wait()
    for telling in clinic.clinic.notifier._telling_now.values():
        telling.cancel()
    killed.cancel()
    receiver.answering.set()
    other = another_worker(clinic)

    await other.once()
    assert len(receiver.events) == 1
    lease = {"$set": {"until": clinic.clinic.surface.clock.now() - timedelta(seconds=1)}}
    await clinic.mongo[clinic.database]["subscriptions"].update_one({"_id": "#lead"}, lease)
    await other.once()
    clinic.clinic.notifier._until = None
    await clinic.clinic.notifier.once()

    assert [(one.number, one.focus) for one in receiver.events[1:]] == list(enumerate(focuses, 1))
    await leads_no_more(clinic)


async def test_what_commits_behind_something_already_seen_is_told_all_the_same(
    clinic: InProcess, receiver: Receiver
) -> None:
    await subscribed(clinic, receiver)
    await leads_no_more(clinic)
    late = Late(clinic.clinic.store.changes)
    other = another_worker(clinic, late)
    first, second = await booked(clinic.caller()), await booked(clinic.caller())
    late.hidden = first
    await other.once()
    assert [one.focus for one in receiver.events] == [second]

    late.hidden = ""
    await other.once()
    await other.once()

    assert [(one.number, one.focus) for one in receiver.events] == [(1, second), (2, first)]
    await leads_no_more(clinic)


async def test_twenty_subscriptions_are_each_told_everything_once_while_others_write(
    clinic: InProcess, receiver: Receiver
) -> None:
    registered(clinic)
    mapper, clerk = clinic.caller(client="mapper"), clinic.caller()
    for _ in range(20):
        endpoint = f"{receiver.url}/{random_id()}"
        await mapper.store({**subscription(receiver), "channel": {"type": "rest-hook", "endpoint": endpoint}})
    await clinic.clinic.notifier.once()
    loop = asyncio.create_task(clinic.clinic.notifier.run())

    focuses = [focus for _ in range(5) for focus in await asyncio.gather(*(booked(clerk) for _ in range(4)))]
    for _ in range(600):
        if len(receiver.events) >= 20 * len(focuses):
            break
        await asyncio.sleep(0.05)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    by_endpoint: dict[str, list[Came]] = {}
    for one in receiver.events:
        by_endpoint.setdefault(one.path, []).append(one)
    assert len(by_endpoint) == 20
    for came in by_endpoint.values():
        assert [one.number for one in came] == list(range(1, 21))
        assert {one.focus for one in came} == set(focuses)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"status": "active"}, "Subscription.status"),
        ({"criteria": "Appointment"}, "Subscription.criteria"),
        ({"criteria": "Nothing?a=b"}, "Subscription.criteria"),
        ({"criteria": "Appointment?nonsense=1"}, "Subscription.criteria"),
        ({"criteria": "Appointment?_include=Appointment:patient"}, "Subscription.criteria"),
        ({"criteria": "AuditEvent?action=R"}, "Subscription.criteria"),
        ({"channel": {"type": "email", "endpoint": "mailto:somebody@example.org"}}, "Subscription.channel.type"),
        ({"channel": {"type": "rest-hook"}}, "Subscription.channel.endpoint"),
        *(
            ({"channel": {"type": "rest-hook", "endpoint": url}}, "Subscription.channel.endpoint")
            for url in (
                *(
                    "http://example.org/",
                    "https://user:word@example.org/",
                    "https://10.0.0.1/",
                    "https://[::ffff:8.8.8.8]/",
                ),
                *("https://169.254.169.254/latest", "ftp://example.org/", "https://example.org/#part", "https:///"),
                *("http://127.0.0.2/", "http://localhost/", "https://example.org/a b", "https://[fd00::1]/"),
            )
        ),
        (
            {"channel": {"type": "rest-hook", "endpoint": "https://example.org/", "payload": "text/plain"}},
            "Subscription.channel.payload",
        ),
        *(
            (
                {"channel": {"type": "rest-hook", "endpoint": "https://example.org/", "header": [header]}},
                "Subscription.channel.header",
            )
            for header in ("Host: intern", "Content-Length: 5", "no header", "X: a\r\nY: b", "Event-Number: 9")
        ),
    ],
)
async def test_what_is_not_served_is_refused_when_it_is_written(clinic: InProcess, wrong: Json, where: str) -> None:
    answer = await clinic.caller(client="mapper").post(
        "/fhir/Subscription", {**subscription("https://example.org/hook"), **wrong}
    )

    assert answer.status_code == 422, answer.text
    assert read(answer)["issue"][0]["expression"] == [where]


@pytest.mark.parametrize("query", ["since=-1", "since=x", "since=1234567890", "until=3"])
async def test_a_number_that_is_none_is_refused(clinic: InProcess, receiver: Receiver, query: str) -> None:
    stored = await subscribed(clinic, receiver)

    answer = await clinic.caller(client="mapper").get(f"/fhir/Subscription/{stored['id']}/$events?{query}")

    assert answer.status_code == 400


async def test_a_person_subscribes_to_nothing(clinic: InProcess, receiver: Receiver) -> None:
    doctor = clinic.caller("user/*.cruds", role="practitioner", fhir_user="Practitioner/9")

    assert (await doctor.post("/fhir/Subscription", subscription(receiver))).status_code == 403
