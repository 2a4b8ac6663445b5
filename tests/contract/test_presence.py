"""Port ResourceStore: what is there, and what refers to it."""

import pytest

from fhir_server.engine.ports import Present
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.contract.clinics import Noted, Opened, deleting, observation, patient, put, writing

pytestmark = pytest.mark.anyio

ANN, BEN = ResourceKey("Patient", "ann"), ResourceKey("Patient", "ben")
NONE: frozenset[str] = frozenset()


def provenance(id: str, target: str) -> Json:
    agent = [{"who": {"display": "x"}}]
    target_of = [{"reference": target}]
    return {"resourceType": "Provenance", "id": id, "target": target_of, "agent": agent, "recorded": "2026-01-01"}


async def test_what_was_stored_is_present_in_its_version_and_compartments(clinic: Opened) -> None:
    await put(clinic, patient("ann"), patient("ann", "Other"), observation("o", "ann"))
    asked = {ANN, BEN, ResourceKey("Observation", "o"), ResourceKey("AuditEvent", "nothing")}

    found = await clinic.resources.present(asked)

    assert found == {
        ANN: Present(2, ("Patient/ann",)),
        ResourceKey("Observation", "o"): Present(1, ("Patient/ann",)),
    }


async def test_what_was_deleted_is_not_present(clinic: Opened) -> None:
    [stored] = await put(clinic, patient("ann"))
    await clinic.resources.commit([deleting(stored)])

    assert await clinic.resources.present({ANN}) == {}
    assert await clinic.resources.present(set()) == {}


async def test_an_event_of_the_log_is_present(clinic: Opened) -> None:
    await clinic.resources.commit([writing(patient("ann")).recording(Noted("x"))])
    [(writer, number)] = await clinic.events()
    key = ResourceKey("AuditEvent", f"{writer}-{number}")

    assert (await clinic.resources.present({key, ANN})).keys() == {key, ANN}


async def test_what_refers_to_it_is_found_whatever_its_type(clinic: Opened) -> None:
    link = {"link": [{"type": "seealso", "other": {"reference": "Patient/ann"}}]}
    await put(
        clinic,
        {**patient("ann"), **link},
        patient("ben"),
        observation("o", "ann"),
        observation("other", "ben"),
        provenance("p", "Patient/ann"),
    )

    found = await clinic.resources.referring(ANN, NONE, 10)
    fewer = await clinic.resources.referring(ANN, {"Provenance"}, 10)

    assert {str(one.key) for one in found} == {"Patient/ann", "Observation/o", "Provenance/p"}
    assert {str(one.key) for one in fewer} == {"Patient/ann", "Observation/o"}
    assert len(await clinic.resources.referring(ANN, NONE, 2)) == 2
    assert list(await clinic.resources.referring(ResourceKey("Patient", "nobody"), NONE, 10)) == []


async def test_what_referred_to_it_once_does_so_no_more(clinic: Opened) -> None:
    [stored, _] = await put(clinic, observation("gone", "ann"), observation("moved", "ann"))
    await clinic.resources.commit([deleting(stored)])
    await put(clinic, observation("moved", "ben"))

    assert list(await clinic.resources.referring(ANN, NONE, 10)) == []
    assert [one.key.id for one in await clinic.resources.referring(BEN, NONE, 10)] == ["moved"]
