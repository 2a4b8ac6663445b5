"""Conditional interactions on a clinic in memory: what is tried again, and what never ends."""

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.conditional import Conditional
from fhir_server.kernel.errors import (
    ConditionChangedError,
    ConflictError,
    InvalidRequestError,
    MultipleMatchesError,
    NotFoundError,
    StaleBasisError,
    StaleVersionError,
    VersionConflictError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from tests.unit.engine.calls import call, patient, running

pytestmark = pytest.mark.anyio

CREATE, UPDATE = call(Interaction.CREATE), call(Interaction.UPDATE)
PATCH, DELETE = call(Interaction.PATCH), call(Interaction.DELETE)
QUERY = parse("Patient", [("family", "Chalmers")])


@pytest.mark.parametrize(
    "failure", [ConditionChangedError("other"), StaleVersionError("other"), StaleBasisError("other")]
)
async def test_r_fhir_010_who_is_overtaken_looks_again(failure: Exception) -> None:
    at = running()
    at.clinic.resources.failures.extend([failure] * 3)

    outcome = await Conditional(at.engine, delete_several=False).create(CREATE, patient(), QUERY)

    assert outcome.written
    assert at.outcomes() == [("create", "0")]


async def test_r_fhir_010_who_is_always_overtaken_is_told_of_the_conflict() -> None:
    at = running()
    at.clinic.resources.failures.extend([ConditionChangedError("other")] * 200)

    with pytest.raises(ConflictError):
        await Conditional(at.engine, delete_several=False).create(CREATE, patient(), QUERY)

    assert at.clinic.memory.current == {}
    assert at.outcomes() == [("create", "4")]


async def test_r_fhir_010_criteria_without_a_filter_are_refused() -> None:
    at = running()

    with pytest.raises(InvalidRequestError):
        await Conditional(at.engine, delete_several=False).create(CREATE, patient(), parse("Patient", []))

    assert at.outcomes() == [("create", "4")]


@pytest.mark.parametrize("id", [None, "free"])
async def test_r_fhir_012_if_match_without_a_match_is_a_version_conflict(id: str | None) -> None:
    at = running()

    with pytest.raises(VersionConflictError):
        await Conditional(at.engine, delete_several=False).update(UPDATE, patient(id), QUERY, 1)

    assert at.clinic.memory.current == {}


async def test_r_fhir_013_an_id_that_was_used_is_not_taken_over() -> None:
    at = running()
    key = ResourceKey("Patient", "ann")
    await at.engine.update(call(Interaction.UPDATE, id="ann"), patient("ann", "Other"))

    with pytest.raises(ConflictError):
        await Conditional(at.engine, delete_several=False).update(UPDATE, patient("ann"), QUERY)

    assert at.clinic.memory.current[key].version == 1


async def test_r_fhir_014_a_patch_needs_a_match_and_may_change_nothing() -> None:
    at = running()
    conditional = Conditional(at.engine, delete_several=False)

    def unchanged(resource: Json) -> Json | None:
        return None

    with pytest.raises(NotFoundError):
        await conditional.patch(PATCH, QUERY, unchanged)
    await at.engine.create(CREATE, patient())

    outcome = await conditional.patch(PATCH, QUERY, unchanged)

    assert (outcome.stored.version, outcome.written) == (1, False)
    assert at.outcomes() == [("patch", "4"), ("create", "0"), ("patch", "0")]


@pytest.mark.parametrize("several", [False, True])
async def test_r_fhir_016_several_are_deleted_by_setting_alone(several: bool) -> None:  # noqa: FBT001  a case
    at = running()
    for _ in range(3):
        await at.engine.create(CREATE, patient())
    conditional = Conditional(at.engine, delete_several=several)

    if several:
        assert len(await conditional.delete(DELETE, QUERY)) == 3
    else:
        with pytest.raises(MultipleMatchesError):
            await conditional.delete(DELETE, QUERY)

    assert [stored.deleted for stored in at.clinic.memory.current.values()] == [several] * 3
