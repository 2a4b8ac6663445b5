"""Events that somebody sends to hide or to forge what happened: none replaces, imitates or hinders the server's own."""

import secrets
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

ORIGIN = "urn:aesthetic-fhir-server:audit-origin"
PATCHING = {"Content_Type": "application/json-patch+json"}
PATCH = '[{"op":"replace","path":"/recorded","value":"2020-01-01T00:00:00Z"}]'


def event(**more: Any) -> Json:
    return {
        "resourceType": "AuditEvent",
        "type": {"code": "rest"},
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": True}],
        "source": {"observer": {"display": MARK}},
        **more,
    }


@pytest.fixture
def forger(clinic: InProcess) -> Caller:
    """Who may do all that scopes can give."""
    return clinic.caller("system/*.cruds", "system/AuditEvent.cruds", client="forger")


@pytest.mark.parametrize("scope", ["system/*.cruds", "system/*.c", "system/*.write", "system/AuditEvent.ruds"])
async def test_r_balp_019_without_its_own_scope_nothing_goes_into_the_log(
    clinic: InProcess, watch: Watch, scope: str
) -> None:
    who = clinic.caller(scope)

    watch.refused(await who.post("/fhir/AuditEvent", event()), 403)
    watch.refused(await who.post("/fhir", batch("transaction", ("POST", "AuditEvent", event()))), 403)


@pytest.mark.parametrize("target", ["own", "never-was", "a-1"])
async def test_r_balp_019_an_event_is_never_changed(
    clinic: InProcess, watch: Watch, forger: Caller, target: str
) -> None:
    await forger.get("/fhir/Patient/never-was")
    id = (await clinic.trail.events())[-1]["id"] if target == "own" else target
    path, body = f"/fhir/AuditEvent/{id}", event(id=id)

    answer = await forger.put(path, body)
    watch.refused(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
    watch.refused(await forger.ask("PATCH", path, PATCH, **PATCHING), 405)
    watch.refused(await forger.delete(path), 405)
    for criteria in ("_id=" + id, "date=ge1990", "type=nothing"):
        answer = await forger.put(f"/fhir/AuditEvent?{criteria}", body)
        watch.refused(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, POST"
        watch.refused(await forger.ask("PATCH", f"/fhir/AuditEvent?{criteria}", PATCH, **PATCHING), 405)
        watch.refused(await forger.delete(f"/fhir/AuditEvent?{criteria}"), 405)
        watch.refused(await forger.post("/fhir/AuditEvent", event(), If_None_Exist=criteria), 405)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("url", ["AuditEvent/a-1", "AuditEvent?_id=a-1", "AuditEvent?type=nothing"])
async def test_r_balp_019_not_in_a_bundle_either(
    clinic: InProcess, watch: Watch, forger: Caller, method: str, url: str
) -> None:
    body = event(id="a-1") if method == "PUT" else None
    if method == "PATCH":
        body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": []}]}
    entries = [("POST", "Patient", {"resourceType": "Patient"}), (method, url, body)]

    whole = await forger.post("/fhir", batch("transaction", *entries))
    alone = read(await forger.post("/fhir", batch("batch", entries[1])))

    watch.refused(whole, 405)
    assert [one["response"]["status"] for one in alone["entry"]] == ["405"]


async def test_an_event_of_the_servers_own_making_cannot_be_imitated(clinic: InProcess, forger: Caller) -> None:
    """All of it may be copied, but for the mark that what was sent bears."""
    await forger.get("/fhir/Patient/never-was")
    genuine = (await clinic.trail.events())[-1]
    forged = {name: value for name, value in genuine.items() if name != "id"}

    plain = read(await forger.post("/fhir/AuditEvent", forged))
    tagged = {**forged, "meta": {"tag": [{"system": ORIGIN, "code": "server"}, {"system": "urn:x", "code": "y"}]}}
    disguised = read(await forger.post("/fhir/AuditEvent", tagged))

    for stored in (plain, disguised):
        assert [tag["code"] for tag in stored["meta"]["tag"] if tag["system"] == ORIGIN] == ["received"]
        assert stored["id"] != genuine["id"]
    assert {"system": "urn:x", "code": "y"} in disguised["meta"]["tag"]
    ours = [each for each in await clinic.trail.events() if "forger" in str(each) and not tagged_as_received(each)]
    assert ours, "the server recorded who sent them"
    assert all(not tagged_as_received(each) for each in ours)


def tagged_as_received(event: Json) -> bool:
    return any(tag.get("system") == ORIGIN for tag in event.get("meta", {}).get("tag", []))


async def test_an_event_that_cannot_be_indexed_does_not_keep_others_from_being_found(
    clinic: InProcess, watch: Watch, forger: Caller
) -> None:
    names = [secrets.token_hex(8) for _ in range(30_000)]
    entities = [{"what": {"reference": f"Device/{name}"}, "name": name} for name in names]

    watch.refused(await forger.post("/fhir/AuditEvent", event(entity=entities)), 422)

    found = read(await forger.get("/fhir/AuditEvent?_sort=-_lastUpdated&_count=1"))
    assert found["entry"]


@pytest.mark.parametrize(
    "broken", [{"recorded": "yesterday"}, {"agent": []}, {"agent": [{}]}, {"unknown": 1}, {"type": {"code": ""}}]
)
async def test_r_balp_019_an_event_is_valid_fhir(watch: Watch, forger: Caller, broken: Json) -> None:
    watch.refused(await forger.post("/fhir/AuditEvent", event(**broken)), 422)
