"""The interactions on a clinic in memory: what they answer, and that nothing of them goes unrecorded."""

import asyncio

import pytest

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Change, ConsentBasis
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Pipeline, Result, Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ForbiddenError,
    GoneError,
    InvalidRequestError,
    MethodNotAllowedError,
    NoLegalBasisError,
    NotFoundError,
    StaleBasisError,
    StaleVersionError,
    TooCostlyError,
    UnavailableError,
    UnprocessableError,
    VersionConflictError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.parse import parse
from tests.unit.engine.calls import call, patient, running

pytestmark = pytest.mark.anyio

CREATE, READ, UPDATE, DELETE = Interaction.CREATE, Interaction.READ, Interaction.UPDATE, Interaction.DELETE
SEARCH, VREAD = Interaction.SEARCH_TYPE, Interaction.VREAD


class Refusing(Step):
    async def admit(self, call: Call) -> None:
        raise ForbiddenError("no")


class Hiding(Step):
    """Ben does not exist; Carl may be known but not seen."""

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        if stored.key.id == "carl":
            raise NoLegalBasisError("not this one")
        return None if stored.key.id == "ben" else stored

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.id == "ben":
            raise NotFoundError("hidden")
        return change


class Relying(Step):
    """Everything disclosed rests on ann's consent, in the epoch that is found."""

    def __init__(self, epochs: list[int]) -> None:
        self._epochs = epochs

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        call.trace.bases["ann"] = ConsentBasis(ResourceKey("Consent", "c"), 1, "ann", self._epochs.pop(0))
        return stored


async def test_a_create_is_stored_under_a_fresh_id_and_recorded() -> None:
    at = running()

    stored = await at.engine.create(call(CREATE), patient("ignored"))

    assert (stored.key, stored.version) == (ResourceKey("Patient", "id1"), 1)
    assert at.outcomes() == [("create", "0")]


async def test_what_is_read_is_recorded_before_it_is_answered() -> None:
    at = running()
    await at.engine.create(call(CREATE), patient())

    assert (await at.engine.read(call(READ, id="id1"))).version == 1
    assert at.outcomes() == [("create", "0"), ("read", "0")]

    at.clinic.audit.broken = True
    with pytest.raises(UnavailableError):
        await at.engine.read(call(READ, id="id1"))


async def test_unknown_is_404_deleted_is_410_and_an_old_version_stays() -> None:
    at = running()
    await at.engine.create(call(CREATE), patient())
    await at.engine.delete(call(DELETE, id="id1"))

    with pytest.raises(NotFoundError):
        await at.engine.read(call(READ, id="nobody"))
    with pytest.raises(GoneError):
        await at.engine.read(call(READ, id="id1"))
    with pytest.raises(GoneError):
        await at.engine.read(call(VREAD, id="id1", version=2))
    with pytest.raises(NotFoundError):
        await at.engine.read(call(READ))
    assert (await at.engine.read(call(VREAD, id="id1", version=1))).version == 1
    assert [outcome for _, outcome in at.outcomes()] == ["0", "0", "4", "4", "4", "4", "0"]


async def test_an_update_makes_the_next_version_or_the_first() -> None:
    at = running()

    first = await at.engine.update(call(UPDATE, id="ann"), patient("ann", "A"))
    second = await at.engine.update(call(UPDATE, id="ann"), patient("ann", "B"), if_match=1)

    assert (first.version, second.version) == (1, 2)
    with pytest.raises(VersionConflictError):
        await at.engine.update(call(UPDATE, id="ann"), patient("ann", "C"), if_match=1)
    with pytest.raises(VersionConflictError):
        await at.engine.update(call(UPDATE, id="ben"), patient("ben"), if_match=1)


async def test_an_update_without_if_match_is_drawn_up_again_on_top_of_anothers() -> None:
    at = running()
    at.clinic.resources.failures.extend([StaleVersionError("other"), StaleBasisError("moved")])

    assert (await at.engine.update(call(UPDATE, id="ann"), patient("ann"))).version == 1

    at.clinic.resources.failures.append(StaleVersionError("other"))
    with pytest.raises(VersionConflictError):
        await at.engine.update(call(UPDATE, id="ann"), patient("ann"), if_match=1)


@pytest.mark.parametrize("failure", [StaleVersionError("other"), StaleBasisError("moved")])
async def test_what_keeps_being_overtaken_fails_in_the_end_and_is_recorded(failure: Exception) -> None:
    at = running()
    at.clinic.resources.failures.extend([failure] * 200)

    with pytest.raises(type(failure)):
        await at.engine.create(call(CREATE), patient())

    assert [what for what, outcome in at.outcomes() if outcome != "0"] == ["create"]
    assert 0 < len(at.clinic.resources.failures) < 199


async def test_a_stale_basis_of_a_disclosure_is_decided_again_and_recorded_once() -> None:
    at = running(Relying([7, 8, 1]))
    await at.engine.update(call(UPDATE, id="ann"), patient("ann"))

    assert (await at.engine.read(call(READ, id="ann"))).version == 1
    assert at.outcomes() == [("update", "0"), ("read", "0")]


async def test_a_basis_that_stays_stale_answers_nothing_and_is_recorded_as_a_failure() -> None:
    at = running(Relying([7] * 50))
    await at.engine.update(call(UPDATE, id="ann"), patient("ann"))

    with pytest.raises(StaleBasisError):
        await at.engine.read(call(READ, id="ann"))
    with pytest.raises(StaleBasisError):
        await at.engine.search(call(SEARCH), parse("Patient", []))

    assert at.outcomes() == [("update", "0"), ("read", "8"), ("search-type", "8")] or at.outcomes() == [
        ("update", "0"),
        ("read", "8"),
        ("search", "8"),
    ]


async def test_a_delete_of_nothing_is_no_fault_and_is_recorded() -> None:
    at = running()

    assert await at.engine.delete(call(DELETE, id="nobody")) is None

    assert at.outcomes() == [("delete", "0")]
    with pytest.raises(VersionConflictError):
        await at.engine.delete(call(DELETE, id="nobody"), if_match=1)


async def test_a_delete_of_what_is_hidden_looks_like_a_delete_of_nothing() -> None:
    at = running(Hiding())
    at.clinic.memory.current.update({})
    await at.clinic.resources.commit([Change(ResourceKey("Patient", "ben"), patient("ben"), None, ("ben",))])

    assert await at.engine.delete(call(DELETE, id="ben")) is None

    current = await at.clinic.resources.read(ResourceKey("Patient", "ben"))
    assert current is not None
    assert not current.deleted


async def test_hidden_is_404_and_known_but_forbidden_says_so() -> None:
    at = running(Hiding())
    for id in ("ann", "ben", "carl"):
        change = Change(ResourceKey("Patient", id), patient(id), None, (id,))
        await at.clinic.resources.commit([change])

    with pytest.raises(NotFoundError):
        await at.engine.read(call(READ, id="ben"))
    with pytest.raises(NoLegalBasisError):
        await at.engine.read(call(READ, id="carl"))
    page = await at.engine.search(call(SEARCH), parse("Patient", []))
    assert [stored.key.id for stored in page.matches] == ["ann"]
    assert page.total == 1


async def test_a_refused_call_touches_nothing_and_is_recorded() -> None:
    at = running(Refusing())

    for one in (
        at.engine.create(call(CREATE), patient()),
        at.engine.update(call(UPDATE, id="a"), patient("a")),
        at.engine.delete(call(DELETE, id="a")),
        at.engine.read(call(READ, id="a")),
        at.engine.search(call(SEARCH), parse("Patient", [])),
    ):
        with pytest.raises(ForbiddenError):
            await one

    assert [outcome for _, outcome in at.outcomes()] == ["4"] * 5
    assert at.clinic.memory.current == {}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"resourceType": "Observation"}, InvalidRequestError),
        ([], InvalidRequestError),
        ({"resourceType": "Patient", "birthDate": "yesterday"}, UnprocessableError),
        ({"resourceType": "Patient", "unknown": 1}, UnprocessableError),
    ],
)
async def test_a_bad_body_is_refused_recorded_and_not_stored(body: object, error: type[Exception]) -> None:
    at = running()

    with pytest.raises(error):
        await at.engine.create(call(CREATE), body)

    assert at.outcomes() == [("create", "4")]
    assert at.clinic.memory.current == {}


async def test_an_id_that_contains_an_identifier_is_refused() -> None:
    at = running()

    with pytest.raises(UnprocessableError):
        await at.engine.update(
            call(UPDATE, id="mrn-12345"), {**patient("mrn-12345"), "identifier": [{"value": "12345"}]}
        )


@pytest.mark.parametrize("is_random", [True, False])
async def test_what_a_random_id_contains_by_chance_does_not_keep_its_resource_from_being_updated(
    *, is_random: bool
) -> None:
    at, id = running(), f"{'0' * 14}f123{'0' * 14}" if is_random else "mrn-f123"
    known = {**patient(id), "identifier": [{"value": "F-123"}]}
    with pytest.raises(UnprocessableError):
        await at.engine.update(call(UPDATE, id=id), known)
    await at.engine.update(call(UPDATE, id=id), patient(id))

    if is_random:
        assert (await at.engine.update(call(UPDATE, id=id), known)).version == 2
    else:
        with pytest.raises(UnprocessableError):
            await at.engine.update(call(UPDATE, id=id), known)


async def test_r_balp_019_nobody_changes_the_log() -> None:
    at = running()

    for one in (
        at.engine.update(call(UPDATE, "AuditEvent", "a-1"), {"resourceType": "AuditEvent", "id": "a-1"}),
        at.engine.delete(call(DELETE, "AuditEvent", "a-1")),
        at.engine.delete(call(DELETE, "AuditEvent", "never-was")),
    ):
        with pytest.raises(MethodNotAllowedError):
            await one


async def test_an_unexpected_fault_is_recorded_without_what_it_says() -> None:
    at = running()
    at.clinic.resources.failures.append(RuntimeError("Chalmers"))

    with pytest.raises(RuntimeError):
        await at.engine.create(call(CREATE), patient())

    assert at.outcomes() == [("create", "8")]
    assert "Chalmers" not in str(at.events())


async def test_a_page_knows_whether_another_follows() -> None:
    at = running()
    for number in range(5):
        await at.engine.create(call(CREATE), patient(family=f"F{number}"))

    query = parse("Patient", [("_count", "2")])
    first = await at.engine.search(call(SEARCH), query)
    second = await at.engine.search(call(SEARCH), query, first.next)
    last = await at.engine.search(call(SEARCH), query, second.next)

    assert [len(page.matches) for page in (first, second, last)] == [2, 2, 1]
    assert [page.next is None for page in (first, second, last)] == [False, False, True]
    assert (await at.engine.search(call(SEARCH), parse("Patient", [("_count", "5")]))).total == 5


async def test_an_exact_total_is_counted_up_to_a_bound() -> None:
    at = running(most_candidates=3)
    for _ in range(3):
        await at.engine.create(call(CREATE), patient())

    counted = await at.engine.search(call(SEARCH), parse("Patient", [("_summary", "count")]))
    accurate = await at.engine.search(call(SEARCH), parse("Patient", [("_total", "accurate"), ("_count", "1")]))
    assert (counted.matches, counted.total) == ((), 3)
    assert (len(accurate.matches), accurate.total) == (1, 3)

    await at.engine.create(call(CREATE), patient())
    for pairs in ([("_summary", "count")], [("_total", "accurate"), ("_count", "1")], [("_sort", "name")]):
        with pytest.raises(TooCostlyError):
            await at.engine.search(call(SEARCH), parse("Patient", pairs))


async def test_amending_nothing_discloses_and_writes_nothing() -> None:
    at = running()
    await at.engine.create(call(CREATE), patient())

    kept = await at.engine.amend(call(Interaction.OPERATION, id="id1"), lambda _: None)
    changed = await at.engine.amend(
        call(Interaction.OPERATION, id="id1"), lambda resource: {**resource, "active": True}
    )

    assert (kept.version, changed.version) == (1, 2)
    assert len(at.events()) == 3


async def test_a_call_that_never_became_an_interaction_is_recorded() -> None:
    at = running()

    await at.engine.refused(call(READ), InvalidRequestError("no JSON"))
    await at.engine.described(call(Interaction.CAPABILITIES, None))

    assert [outcome for _, outcome in at.outcomes()] == ["4", "0"]


def test_a_step_with_a_misspelt_phase_is_refused() -> None:
    with pytest.raises(TypeError, match="admitt"):

        class Misspelt(Step):
            async def admitt(self, call: Call) -> None: ...


async def test_a_pipeline_stops_disclosing_at_the_first_step_that_hides() -> None:
    class Fault(Step):
        async def disclose(self, call: Call, stored: Stored) -> Stored | None:
            raise AssertionError("nothing is left to decide")

    class Blind(Step):
        async def disclose(self, call: Call, stored: Stored) -> Stored | None:
            return None

    at = running()
    stored = await at.engine.create(call(CREATE), patient())

    assert await Pipeline((Blind(), Fault())).disclose(call(READ), stored) is None
    await Pipeline((Step(),)).conclude(call(READ), Result())


async def test_a_search_that_takes_too_long_is_refused_and_recorded() -> None:
    class Slow(Step):
        async def disclose(self, call: Call, stored: Stored) -> Stored | None:
            await asyncio.sleep(60)
            return stored

    at = running(Slow(), limits=Limits(seconds=0.05))
    await at.engine.create(call(CREATE), patient())

    with pytest.raises(TooCostlyError):
        await at.engine.search(call(SEARCH), parse("Patient", []))

    assert at.outcomes()[-1] == ("search-type", "4")
