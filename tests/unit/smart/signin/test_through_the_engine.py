"""What goes through the engine: work handed over when somebody leaves, and messages to whom something was done."""

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.access import Access
from fhir_server.smart.signin.administration import Told
from fhir_server.smart.signin.handing_over import EngineHandOver
from fhir_server.smart.signin.leaving import HandedOver
from fhir_server.smart.signin.messages import EngineMessenger
from fhir_server.smart.signin.users import User
from tests.fakes.clinic import BASE
from tests.fakes.clock import NOW
from tests.unit.engine.calls import SYSTEM, Running, running

pytestmark = pytest.mark.anyio

SERVER = Principal("fhir-server", "fhir-server", "", "", scopes=("system/*.cruds",), name="fhir-server")
ANA, BEN, CARL = "Practitioner/ana", "Practitioner/ben", "Practitioner/carl"
SURGEON, NURSE = {"text": "surgeon"}, {"text": "nurse"}


@pytest.fixture
def at() -> Running:
    return running(Access(BASE))


async def store(at: Running, resource: Json) -> None:
    call = Call(Interaction.UPDATE, SYSTEM, NOW, resource["resourceType"], resource["id"])
    await at.engine.update(call, resource)


async def stored(at: Running, type: str, id: str) -> Json:
    found = await at.clinic.resources.read(ResourceKey(type, id))
    assert found is not None
    return found.resource


def member(who: str, role: Json | None = None) -> Json:
    return {"member": {"reference": who}, **({"role": [role]} if role else {})}


def team(id: str, *members: Json) -> Json:
    return {
        "resourceType": "CareTeam",
        "id": id,
        "subject": {"reference": "Patient/p1"},
        "participant": list(members),
    }


def task(id: str, owner: str, status: str = "requested") -> Json:
    return {
        "resourceType": "Task",
        "id": id,
        "status": status,
        "intent": "order",
        "owner": {"reference": owner},
        "requester": {"reference": ANA},
        "for": {"reference": "Patient/p1"},
    }


async def handed_over(at: Running) -> HandedOver:
    return await EngineHandOver(at.engine, SERVER, at.clinic.clock).hand_over(ANA, BEN)


async def test_care_teams_get_the_other_in_the_same_place(at: Running) -> None:
    await store(at, team("t1", member(CARL), member(ANA, SURGEON)))
    await store(at, team("t2", member(ANA, SURGEON), member(BEN, SURGEON), member(ANA, NURSE)))
    await store(at, team("t3", member(CARL)))

    assert await handed_over(at) == HandedOver(2, 0)

    assert (await stored(at, "CareTeam", "t1"))["participant"] == [member(CARL), member(BEN, SURGEON)]
    assert (await stored(at, "CareTeam", "t2"))["participant"] == [member(BEN, SURGEON), member(BEN, NURSE)]
    assert (await stored(at, "CareTeam", "t3"))["meta"]["versionId"] == "1"


async def test_only_unfinished_tasks_change_hands_and_never_their_author(at: Running) -> None:
    for id, status in (("k1", "requested"), ("k2", "completed"), ("k3", "in-progress"), ("k4", "cancelled")):
        await store(at, task(id, ANA, status))
    await store(at, task("k5", CARL))

    assert await handed_over(at) == HandedOver(0, 2)

    owners = {id: (await stored(at, "Task", id))["owner"]["reference"] for id in ("k1", "k2", "k3", "k4", "k5")}
    assert owners == {"k1": BEN, "k2": ANA, "k3": BEN, "k4": ANA, "k5": CARL}
    assert (await stored(at, "Task", "k1"))["requester"] == {"reference": ANA}


async def test_more_than_a_page_changes_hands_and_each_is_recorded(at: Running) -> None:
    for number in range(130):
        await store(at, task(f"k{number}", ANA))
    before = len(at.events())

    assert await handed_over(at) == HandedOver(0, 130)

    assert [kind for kind, _ in at.outcomes()[before:]].count("patch") == 130
    assert await handed_over(at) == HandedOver(0, 0), "done again, nothing is left"


async def test_earlier_versions_keep_who_it_was(at: Running) -> None:
    await store(at, task("k1", ANA))
    await handed_over(at)

    first = await at.clinic.resources.read_version(ResourceKey("Task", "k1"), 1)

    assert first is not None
    assert first.resource["owner"]["reference"] == ANA


@pytest.mark.parametrize("what", list(Told))
async def test_whoever_lost_something_is_told_in_the_record(at: Running, what: Told) -> None:
    user = User("u1", "ana", "Ana", ("nurse",), ANA, NOW)

    await EngineMessenger(at.engine, SERVER).tell(user, what, NOW)

    [message] = [one.resource for key, one in at.clinic.memory.current.items() if key.type == "Communication"]
    assert message["recipient"] == [{"reference": ANA}]
    assert "sign-in" in message["payload"][0]["contentString"]
    assert "ana" not in message["payload"][0]["contentString"]


@pytest.mark.parametrize("fhir_user", [None, "Person/1"])
async def test_who_cannot_be_addressed_is_not(at: Running, fhir_user: str | None) -> None:
    await EngineMessenger(at.engine, SERVER).tell(
        User("u1", "ana", "Ana", ("nurse",), fhir_user, NOW), Told.FACTOR_RESET, NOW
    )

    assert at.clinic.memory.current == {}
