"""A fault of ours: 500 with an opaque reference; its message, which may quote a patient, stands nowhere."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from fhir_server.engine.interactions import Engine
from fhir_server.kernel.json import Json
from fhir_server.media.intake import Intake
from fhir_server.smart.bearer import Bearer
from fhir_server.store.photos import Photos
from fhir_server.store.resources import Resources
from fhir_server.store.transaction import Transaction
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

PLACES: dict[str, tuple[Any, str, str]] = {
    "a read of the store": (Resources, "read_many", "GET"),
    "the commit": (Resources, "commit", "POST"),
    "the transaction": (Transaction, "run", "POST"),
    "a search": (Resources, "find", "SEARCH"),
    "the engine": (Engine, "look", "GET"),
    "the intake of photos": (Intake, "prepare", "POST"),
    "the check of the token": (Bearer, "authenticate", "GET"),
}


def failing(*given: object, **more: object) -> NoReturn:
    raise RuntimeError(f"the patient {MARK} could not be read")


async def ask(who: Caller, how: str) -> Any:
    if how == "GET":
        return await who.get("/fhir/Patient/present")
    if how == "SEARCH":
        return await who.get(f"/fhir/Patient?name={MARK}")
    return await who.post("/fhir/Patient", patient(MARK))


@pytest.mark.parametrize("place", PLACES)
async def test_a_fault_is_500_with_a_reference_that_the_log_has_too(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    owner, name, how = PLACES[place]
    before = await clinic.counts()
    watch = Watch(clinic, caplog, None)
    await watch.begin()
    monkeypatch.setattr(owner, name, failing)

    answer = await ask(mallory, how)

    monkeypatch.undo()
    watch.refused(answer, 500)
    issue = read(answer)["issue"][0]
    assert issue["code"] == "exception"
    assert "Reference: " in issue["diagnostics"]
    reference = issue["diagnostics"].rpartition("Reference: ")[2]
    assert any(reference in record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
    assert await clinic.counts() == before
    await watch.end()


@pytest.mark.parametrize("place", list(PLACES))
async def test_a_fault_is_recorded_as_a_serious_failure(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    owner, name, how = PLACES[place]
    async with clinic.trail.recording() as recorded:
        monkeypatch.setattr(owner, name, failing)
        await ask(mallory, how)
        monkeypatch.undo()

    assert said(recorded.only)[1] in {"8", "12"}
    if how != "SEARCH":
        assert MARK not in str(recorded.only)


async def test_a_fault_in_an_entry_of_a_batch_tells_nothing_either(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(Resources, "find", failing)
    entries = [
        {"request": {"method": "GET", "url": "Patient?name=x"}},
        {"request": {"method": "GET", "url": "Patient/x"}},
        {"request": {"method": "PUT", "url": "Patient?name=x"}, "resource": patient()},
    ]

    answer = await mallory.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries})

    assert MARK not in answer.text
    watch.answers.append(answer)
    assert [entry["response"]["status"] for entry in read(answer)["entry"]] == ["500", "404", "500"]
    for place in (0, 2):
        [issue] = read(answer)["entry"][place]["response"]["outcome"]["issue"]
        assert issue["code"] == "exception"
        assert "Reference: " in issue["diagnostics"]


async def test_a_fault_while_a_photo_is_sealed_keeps_nothing(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = await mallory.store(patient())
    await mallory.store(consent(someone["id"]))
    before = await clinic.counts()
    monkeypatch.setattr(Photos, "pour", failing)

    answer = await mallory.post("/fhir/Media", media(someone["id"], jpeg()))

    assert answer.status_code == 500
    assert MARK not in answer.text
    assert await clinic.counts() == before


async def test_a_fault_in_the_midst_of_a_stream_cuts_it_and_says_nothing(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    someone = await mallory.store(patient())
    await mallory.store(consent(someone["id"]))
    stored = await mallory.store(media(someone["id"], jpeg(600_000)))
    monkeypatch.setattr(Engine, "look", once(Engine.look))
    sent: list[Json] = []

    async def receive() -> Json:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    caplog.set_level(logging.DEBUG, "fhir_server")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "query_string": b"",
        "root_path": "",
        "path": f"/fhir/{stored['content']['url']}",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [(b"authorization", mallory.headers["Authorization"].encode())],
    }
    await clinic.app(scope, receive, send)

    assert sent[0]["status"] == 200
    assert sent[-1].get("more_body")
    assert MARK not in str([record.getMessage() for record in caplog.records])


def once(original: Callable[..., Any]) -> Callable[..., Any]:
    """Works the first time, and then no more."""
    calls = 0

    async def look(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return await original(*given) if calls == 1 else failing()

    return look


async def test_a_fault_of_the_validator_quotes_no_value(
    clinic: InProcess, mallory: Caller, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr("fhir_server.engine.drafts.validate", failing)

    watch.refused(await mallory.post("/fhir/Patient", patient(MARK)), 500)
