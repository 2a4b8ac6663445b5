"""What every Heads promises: an epoch that rises with each move of a consent, and which consents are in force."""

import asyncio

import pytest

from fhir_server.engine.change import Change, ConsentBasis, HeadMove, Unmoved
from fhir_server.engine.ports import Head
from fhir_server.kernel.errors import StaleBasisError
from fhir_server.kernel.identity import ResourceKey
from tests.contract.clinics import Opened, observation, patient, put, writing

pytestmark = pytest.mark.anyio

C1, C2 = ResourceKey("Consent", "c1"), ResourceKey("Consent", "c2")


def giving(number: int, consent: ResourceKey = C1, *, in_force: bool = True) -> HeadMove:
    return HeadMove("ann", consent, number, in_force=in_force)


def change(id: str, *moves: HeadMove) -> Change:
    found = writing(observation(id, "ann"))
    for move in moves:
        found = found.moving_head(move)
    return found


async def test_a_patient_has_a_head_from_the_first_resource_that_names_them(clinic: Opened) -> None:
    assert (await clinic.heads.heads(["ann"])).get("ann") is None

    await put(clinic, observation("o1", "ann"))

    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 1, {})
    await put(clinic, patient("ann"), observation("o2", "ann"))
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 1, {})
    assert (await clinic.heads.heads(["ben"])).get("ben") is None


async def test_consents_come_into_force_and_leave_it_and_each_move_is_an_epoch(clinic: Opened) -> None:
    await clinic.resources.commit([change("o1", giving(1))])
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 2, {C1: 1})

    await clinic.resources.commit([change("o2", giving(2), giving(1, C2))])
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 3, {C1: 2, C2: 1})

    await clinic.resources.commit([change("o3", giving(3, in_force=False))])
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 4, {C2: 1})


async def test_two_changes_of_one_commit_move_one_head_together(clinic: Opened) -> None:
    await clinic.resources.commit([change("o1", giving(1)), change("o2", giving(1, C2))])

    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 2, {C1: 1, C2: 1})


async def test_moves_that_arrive_together_are_all_made(clinic: Opened) -> None:
    consents = [ResourceKey("Consent", f"c{number}") for number in range(8)]

    await asyncio.gather(
        *(clinic.resources.commit([change(f"o{number}", giving(1, consents[number]))]) for number in range(8))
    )

    head = (await clinic.heads.heads(["ann"])).get("ann")
    assert head == Head("ann", 9, dict.fromkeys(consents, 1))


async def test_a_basis_of_this_epoch_holds_and_one_of_an_older_epoch_does_not(clinic: Opened) -> None:
    await clinic.resources.commit([change("o1", giving(1))])
    basis = ConsentBasis(C1, 1, "ann", 2)

    await clinic.resources.commit([change("o2").relying_on(basis)])
    await clinic.resources.commit([change("o3", giving(2, in_force=False))])

    with pytest.raises(StaleBasisError):
        await clinic.resources.commit([change("o4").relying_on(basis)])
    assert await clinic.resources.read(ResourceKey("Observation", "o4")) is None
    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 3, {})


async def test_relying_on_an_epoch_does_not_move_it(clinic: Opened) -> None:
    await clinic.resources.commit([change("o1", giving(1))])
    basis = ConsentBasis(C1, 1, "ann", 2)

    await asyncio.gather(*(clinic.resources.commit([change(f"p{n}").relying_on(basis)]) for n in range(5)))
    await clinic.resources.commit([change("o2").only_if(Unmoved("ann", 2))])

    assert (await clinic.heads.heads(["ann"])).get("ann") == Head("ann", 2, {C1: 1})


async def test_a_use_and_a_withdrawal_at_once_never_both_see_the_old_epoch(clinic: Opened) -> None:
    await clinic.resources.commit([change("o1", giving(1))])
    basis = ConsentBasis(C1, 1, "ann", 2)

    outcomes = await asyncio.gather(
        *(clinic.resources.commit([change(f"p{n}").relying_on(basis)]) for n in range(3)),
        clinic.resources.commit([change("w", giving(2, in_force=False))]),
        *(clinic.resources.commit([change(f"q{n}").relying_on(basis)]) for n in range(3)),
        return_exceptions=True,
    )

    withdrawn = await clinic.resources.read(ResourceKey("Observation", "w"))
    assert withdrawn is not None
    for outcome in outcomes:
        if isinstance(outcome, tuple):
            assert outcome[0].seq <= withdrawn.seq
        else:
            assert isinstance(outcome, StaleBasisError)


async def test_a_basis_on_a_patient_whom_nobody_ever_named_is_stale(clinic: Opened) -> None:
    with pytest.raises(StaleBasisError):
        await clinic.resources.commit([writing(patient("ben")).relying_on(ConsentBasis(C1, 1, "nobody", 5))])

    assert await clinic.resources.read(ResourceKey("Patient", "ben")) is None
