"""Where somebody who decides cannot decide, nothing is shown and nothing is written: 503, never 200.

Rows T57, T61.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import pytest

from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.smart.access import Access
from fhir_server.smart.reaching import NoTies
from fhir_server.smart.rights import Rights
from tests.fakes.clinic import BASE, FakeClinic
from tests.unit.engine.calls import SYSTEM, Running, call, holder, running

pytestmark = pytest.mark.anyio

DOCTOR = replace(holder("user/*.cruds"), role="practitioner", fhir_user="Practitioner/me")
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "Skin"},
    "subject": {"reference": "Patient/ann"},
}


class NoAnswer(NoTies):
    """Ties that cannot be looked up."""

    async def know(self, call: Call, rights: Rights, patients: Iterable[str], seen: Stored | None = None) -> None:
        raise UnavailableError("The record cannot be read.")

    async def patients(self, call: Call, rights: Rights) -> tuple[str, ...]:
        raise UnavailableError("The record cannot be read.")


class NoHeads:
    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        raise UnavailableError("The head rows cannot be read.")


def without_ties() -> Running:
    return running(Access(BASE, NoAnswer()))


def without_heads() -> Running:
    clinic = FakeClinic()
    return running(Gate(Standing(clinic.resources, NoHeads(), law_of("eu")), clinic.resources, BASE, clinic.elsewhere))


async def filled(own: Running) -> Running:
    drawn_up = own.drafts.of(ResourceKey("Observation", "o"), OBSERVATION)
    await own.clinic.resources.commit([drawn_up])
    return own


@pytest.mark.parametrize("broken", [without_ties, without_heads])
async def test_t_57_t_61_what_cannot_be_decided_is_503_and_recorded(broken: Callable[[], Running]) -> None:
    own = await filled(broken())
    reading = call(Interaction.READ, "Observation", "o", DOCTOR)
    searching = call(Interaction.SEARCH_TYPE, "Observation", principal=DOCTOR)

    with pytest.raises(UnavailableError) as read:
        await own.engine.read(reading)
    with pytest.raises(UnavailableError):
        await own.engine.search(searching, parse("Observation", [("patient", "Patient/ann")]))

    assert read.value.status == 503
    assert own.outcomes() == [("read", "8"), ("search-type", "8")]


async def test_t_57_t_61_nor_is_anything_written() -> None:
    own = await filled(without_ties())
    changed = {**OBSERVATION, "status": "amended"}

    with pytest.raises(UnavailableError):
        await own.engine.update(call(Interaction.UPDATE, "Observation", "o", DOCTOR), changed)

    stored = await own.clinic.resources.read(ResourceKey("Observation", "o"))
    assert stored is not None
    assert stored.resource["status"] == "final"


async def test_a_back_end_needs_no_tie_and_is_answered() -> None:
    own = await filled(without_ties())

    assert (await own.engine.read(call(Interaction.READ, "Observation", "o", SYSTEM))).key.id == "o"
