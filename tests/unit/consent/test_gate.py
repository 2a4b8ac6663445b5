"""The gate on an engine in memory: what it remembers, what it asks again, what it lets be known."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.purposes import ACT_REASON, TREATMENT
from fhir_server.consent.question import Ask, Deny, Matter, Permit, Reason
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import ANONYMISATION
from fhir_server.engine.call import Call, Interaction, Principal, Trace
from fhir_server.engine.change import CareBasis, Change, ConsentBasis, Erasure, HeadMove
from fhir_server.engine.classification import RECEIPT_SYSTEM, SIGNED_FORM
from fhir_server.engine.pictured import IMPORTED, TAGS
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ConflictError,
    ForbiddenError,
    NoLegalBasisError,
    UnavailableError,
    UnprocessableError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.fakes.clinic import BASE, FakeClinic
from tests.fakes.clock import NOW, FakeClock
from tests.samples import consent, published
from tests.unit.engine.calls import call

pytestmark = pytest.mark.anyio

CONSENT = ResourceKey("Consent", "c1")
OBSERVATION = ResourceKey("Observation", "o")
MEDIA = ResourceKey("Media", "m")


class Counted:
    """How often the database is asked."""

    def __init__(self, clinic: FakeClinic) -> None:
        self._clinic, self.looks = clinic, 0

    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        self.looks += 1
        return await self._clinic.heads.heads(patients)


async def commit(clinic: FakeClinic, key: ResourceKey, resource: Json, *moves: HeadMove) -> Stored:
    previous = clinic.memory.current.get(key)
    change = Change(key, {**resource, "id": key.id}, previous, ("ann",))._replace(heads=moves)
    [stored] = await clinic.resources.commit([change])
    return stored


async def give(clinic: FakeClinic, **how: str) -> None:
    version = 1 + (clinic.memory.current[CONSENT].version if CONSENT in clinic.memory.current else 0)
    move = HeadMove("ann", CONSENT, version, in_force=True)
    await commit(clinic, CONSENT, consent("ann", **how), move)


def observation() -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Weight"},
        "subject": {"reference": "Patient/ann"},
    }


def media(**more: object) -> Json:
    content = {"contentType": "image/jpeg", "url": "Binary/1"}
    return {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"reference": "Patient/ann"},
        "content": content,
        **more,
    }


def standing(clinic: FakeClinic, most: int = 10) -> tuple[Standing, Counted]:
    counted = Counted(clinic)
    return Standing(clinic.resources, counted, law_of("eu"), most=most), counted


def gate_of(clinic: FakeClinic) -> Gate:
    return Gate(standing(clinic)[0], clinic.resources, BASE, clinic.elsewhere)


async def test_what_is_remembered_permits_and_never_refuses() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    stands, counted = standing(clinic)
    ask = Ask("ann", "research", NOW)

    assert isinstance(await stands.decide(ask, Trace(remembering=True)), Deny)
    await give(clinic, code="research")
    assert isinstance(await stands.decide(ask, Trace(remembering=True)), Permit)
    looked = counted.looks
    assert isinstance(await stands.decide(ask, Trace(remembering=True)), Permit)
    assert counted.looks == looked
    assert isinstance(await stands.decide(ask, Trace()), Permit)
    assert counted.looks == looked + 1


@pytest.mark.parametrize(("hours", "answer"), [(0, Permit), (2, Deny)])
async def test_a_consent_ends_with_its_last_day_at_the_clinic(hours: int, answer: type) -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    lasting = consent("ann", code="research", provision={"period": {"end": "2026-03-31"}})
    await commit(clinic, CONSENT, lasting, HeadMove("ann", CONSENT, 1, in_force=True))
    zone = timezone(timedelta(hours=hours))
    stands = Standing(clinic.resources, clinic.heads, law_of("eu"), zone)

    late = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)

    assert isinstance(await stands.decide(Ask("ann", "research", late)), answer)


async def test_within_one_call_a_patient_is_looked_up_once() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    stands, counted = standing(clinic)
    trace = Trace()

    for _ in range(3):
        assert isinstance(await stands.decide(Ask("ann", "research", NOW), trace), Deny)

    assert counted.looks == 1


async def test_what_a_page_rests_on_is_looked_up_at_once() -> None:
    """And not again for care, as long as it is remembered; for anything else once a page, since most is refused."""
    clinic = FakeClinic()
    names = ("ann", "ben", "cai")
    for name in names:
        await commit(clinic, ResourceKey("Patient", name), {"resourceType": "Patient"})
        clinic.memory.heads.setdefault(name, Head(name, 1, {}))
    stands, counted = standing(clinic)
    looks = []
    for purpose, likely in ((TREATMENT, True), (TREATMENT, True), ("research", False), ("research", False)):
        trace = Trace(remembering=True)
        await stands.foresee((*names, "nobody"), trace, likely=likely)
        kinds = [
            type(await stands.decide(Ask(name, purpose, NOW, matter=Matter.RECORD), trace))
            for name in (*names, "nobody")
        ]
        assert kinds == [Permit if likely else Deny] * 3 + [Deny]
        looks.append(counted.looks)

    assert looks == [1, 2, 3, 4], "the second time only for the one who is not there"


async def test_only_so_many_are_remembered() -> None:
    clinic = FakeClinic()
    for name in ("ann", "ben"):
        await commit(clinic, ResourceKey("Patient", name), {"resourceType": "Patient"})
        clinic.memory.heads.setdefault(name, clinic.memory.heads["ann"])
    stands, counted = standing(clinic, most=1)
    for name in ("ann", "ben", "ann"):
        await stands.of(name)
    assert counted.looks == 3
    assert await stands.of("nobody") is None


async def test_who_was_looked_at_longest_ago_is_forgotten_first() -> None:
    clinic = FakeClinic()
    names = ("ann", "ben", "cai")
    for name in names:
        await commit(clinic, ResourceKey("Patient", name), {"resourceType": "Patient"})
        clinic.memory.heads.setdefault(name, Head(name, 1, {}))
    stands, counted = standing(clinic, most=2)
    looks = []
    for name in (*names, "ann", "cai", "ben", "ann"):
        before = counted.looks
        await stands.decide(Ask(name, TREATMENT, NOW, matter=Matter.RECORD), Trace(remembering=True))
        looks.append(counted.looks - before)

    assert looks == [1, 1, 1, 1, 0, 1, 0]


async def test_what_was_foreseen_for_a_call_is_not_looked_up_again() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    stands, counted = standing(clinic)
    trace = Trace(remembering=True)

    for likely in (False, False, True):
        await stands.foresee(["ann", "ann"], trace, likely=likely)

    assert counted.looks == 1
    assert set(trace.stands) == {"ann"}


@pytest.mark.parametrize("there", [True, False])
async def test_a_listed_consent_that_is_deleted_or_lost_leaves_nothing_decided(*, there: bool) -> None:
    clinic = FakeClinic()
    await give(clinic, code="research")
    lost = clinic.memory.current.pop(CONSENT)
    if there:
        clinic.memory.current[CONSENT] = replace(lost, deleted=True)
    stands, _ = standing(clinic)

    assert await stands.decide(Ask("ann", "research", NOW)) == Deny(Reason.NOT_CURRENT)


async def test_whom_no_head_knows_nothing_is_shown_of() -> None:
    clinic = FakeClinic()
    stored = await commit(clinic, OBSERVATION, observation())
    clinic.memory.heads.clear()
    gate = gate_of(clinic)
    asked = call(Interaction.READ, "Observation", "o")

    assert await gate.disclose(asked, stored) is None
    assert asked.trace.decisions == {("ann", OBSERVATION): Deny(Reason.NOT_CURRENT)}


async def test_proof_is_shown_whatever_was_refused() -> None:
    clinic = FakeClinic()
    await give(clinic, code="treatment", kind="deny")
    paper: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": SIGNED_FORM}]},
        "subject": {"reference": "Patient/ann"},
        "content": [{"attachment": {"title": "Signed"}}],
    }
    report = {**paper, "type": {"coding": [{"code": "report"}]}}
    signed = await commit(clinic, ResourceKey("DocumentReference", "signed"), paper)
    other = await commit(clinic, ResourceKey("DocumentReference", "other"), report)
    gate = gate_of(clinic)

    assert await gate.disclose(call(Interaction.READ, "DocumentReference", "signed"), signed) is signed
    assert await gate.disclose(call(Interaction.READ, "DocumentReference", "other"), other) is None


async def test_the_oldest_epoch_is_the_one_that_has_to_hold() -> None:
    """What was seen before something changed must not leave because what came after was seen on the new state."""
    clinic = FakeClinic()
    stored = await commit(clinic, OBSERVATION, observation())
    gate = gate_of(clinic)
    asked = call(Interaction.READ, "Observation", "o")
    await gate.disclose(asked, stored)
    assert asked.trace.bases["ann"] == CareBasis("all-normal", "ann", 1, silent=True)

    await give(clinic)
    asked.trace.stands.clear()
    await gate.disclose(asked, stored)

    assert asked.trace.bases["ann"].epoch == 1


async def test_a_consent_is_recorded_rather_than_the_rule() -> None:
    clinic = FakeClinic()
    await give(clinic)
    seen = [await commit(clinic, OBSERVATION, observation()), await commit(clinic, MEDIA, media())]
    for order in (seen, seen[::-1]):
        gate = gate_of(clinic)
        asked = call(Interaction.SEARCH_TYPE, "Observation")
        for stored in order:
            await gate.disclose(asked, stored)
        assert asked.trace.bases["ann"] == ConsentBasis(CONSENT, 1, "ann", 2)


async def test_a_photo_entered_in_error_is_out_of_reach() -> None:
    clinic = FakeClinic()
    await give(clinic)
    stored = await commit(clinic, MEDIA, media(status="entered-in-error"))

    with pytest.raises(NoLegalBasisError, match="entered in error"):
        await gate_of(clinic).disclose(call(Interaction.READ, "Media", "m"), stored)


@pytest.mark.parametrize("subject", [{"display": "Ann"}, {"reference": "Person/p"}])
async def test_a_photo_of_somebody_who_is_no_patient_here_is_refused(subject: Json) -> None:
    resource, clinic = media(subject=subject), FakeClinic()
    with pytest.raises(UnprocessableError, match=r"Media\.subject"):
        await gate_of(clinic).prepare(call(Interaction.UPDATE, "Media", "m"), Change(MEDIA, {**resource, "id": "m"}))


@pytest.mark.parametrize("most", [1, 100])
async def test_a_picture_of_nobody_refers_to_what_can_be_looked_up(most: int) -> None:
    clinic = FakeClinic()
    named = [{"reference": "urn:uuid:elsewhere"}, *({"reference": f"Procedure/{one}"} for one in range(most + 1))]
    picture = media(id="m", partOf=named)
    del picture["subject"]
    change = Change(MEDIA, picture)

    if most < 100:
        assert await gate_of(clinic).prepare(call(Interaction.CREATE, "Media", "m"), change) == change
    else:
        with pytest.raises(UnprocessableError, match="at most 100"):
            await gate_of(clinic).prepare(call(Interaction.CREATE, "Media", "m"), change)


async def test_s_76_a_channel_is_looked_for_where_none_is_named_and_one_permits() -> None:
    """Who picks a photo for a publication does not know yet where it goes."""
    clinic = FakeClinic()
    await commit(clinic, MEDIA, media())
    stands, _ = standing(clinic)
    ask = Ask("ann", "photo-marketing", NOW, MEDIA)
    assert isinstance(await stands.decide(ask), Deny)

    for id, kind, channel, answer in (("a", "deny", "print", Deny), ("b", "permit", "website", Permit)):
        key, said = ResourceKey("Consent", id), consent("ann", "photo-marketing", kind, **published(channel))
        await commit(clinic, key, said, HeadMove("ann", key, 1, in_force=True))
        assert isinstance(await stands.decide(ask), answer)


class _Away(Counted):
    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        raise UnavailableError("The database does not answer.")


async def test_t_57_where_the_consents_cannot_be_had_nothing_is_shown() -> None:
    clinic = FakeClinic()
    await give(clinic)
    stored = await commit(clinic, MEDIA, media())
    gate = Gate(Standing(clinic.resources, _Away(clinic), law_of("gb")), clinic.resources, BASE, clinic.elsewhere)

    with pytest.raises(UnavailableError):
        await gate.disclose(call(Interaction.READ, "Media", "m"), stored)


class _Broken:
    """Everybody broke the glass for everybody."""

    async def broken(self, call: Call, patient: str) -> str | None:
        return "Task/glass"


async def test_a_broken_glass_gives_a_photo_no_basis_of_its_own() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    stored = await commit(clinic, MEDIA, media())
    gate = Gate(standing(clinic)[0], clinic.resources, BASE, clinic.elsewhere, _Broken())
    reading = call(Interaction.READ, "Media", "m")

    with pytest.raises(NoLegalBasisError):
        await gate.disclose(reading, stored)

    assert reading.trace.glass == {}


MASKED = [{"url": ANONYMISATION, "valueCode": "eyes-masked"}]


async def test_s_78_a_photo_shows_as_little_as_its_consent_asks_for() -> None:
    """Coming in and going out, and a photo in a document likewise."""
    clinic = FakeClinic()
    given = consent("ann", extension=MASKED)
    await commit(clinic, CONSENT, given, HeadMove("ann", CONSENT, 1, in_force=True))
    masked, open_ = await commit(clinic, MEDIA, media(extension=MASKED)), media(id="n")
    gate, reading = gate_of(clinic), call(Interaction.READ, "Media", "m")

    assert await gate.disclose(reading, masked) is masked
    assert (await gate.prepare(reading, Change(MEDIA, masked.resource, None, ("ann",)))).basis
    with pytest.raises(NoLegalBasisError):
        await gate.prepare(reading, Change(ResourceKey("Media", "n"), open_, None, ("ann",)))
    unmasked = await commit(clinic, ResourceKey("Media", "n"), open_)
    with pytest.raises(NoLegalBasisError):
        await gate.disclose(reading, unmasked)


@pytest.mark.parametrize("year", [2025, 2026])
async def test_what_a_resource_says_of_itself_is_looked_at_wherever_it_is_shown(year: int) -> None:
    """A photo, and the rest of the record."""
    clinic = FakeClinic()
    for id, code in (("c1", "care-photography"), ("c2", "treatment")):
        key, period = ResourceKey("Consent", id), {"dataPeriod": {"start": "2026"}}
        given = consent("ann", code, provision=period)
        await commit(clinic, key, given, HeadMove("ann", key, 1, in_force=True))
    photo = await commit(clinic, MEDIA, media(createdDateTime=f"{year}-02"))
    weighed = await commit(clinic, OBSERVATION, {**observation(), "effectiveDateTime": f"{year}-02"})
    gate = gate_of(clinic)

    assert (await gate.disclose(call(Interaction.READ), weighed) is weighed) is (year == 2026)
    if year == 2026:
        assert await gate.disclose(call(Interaction.READ), photo) is photo
    else:
        with pytest.raises(NoLegalBasisError):
            await gate.disclose(call(Interaction.READ), photo)


async def test_a_link_to_a_picture_that_another_server_keeps_is_no_photo_of_ours() -> None:
    clinic = FakeClinic()
    link = await commit(clinic, MEDIA, media(content={"url": "https://elsewhere.example/1"}, status="entered-in-error"))

    assert await gate_of(clinic).disclose(call(Interaction.READ, "Media", "m"), link) is link


@pytest.mark.parametrize("type", ["AuditEvent", "Consent", "Provenance", "Task"])
async def test_proof_is_not_decided_on(type: str) -> None:
    clinic = FakeClinic()
    stored = replace(await commit(clinic, OBSERVATION, observation()), key=ResourceKey(type, "x"))
    reading = call(Interaction.READ)

    assert await gate_of(clinic).disclose(reading, stored) is stored
    assert (reading.trace.bases, reading.trace.decisions, reading.trace.stands) == ({}, {}, {})


async def test_t_99_an_update_takes_no_photo_and_what_the_server_derives_neither() -> None:
    clinic = FakeClinic()
    await give(clinic, dateTime="2026-03-01T10:00:00Z")
    early = media(createdDateTime="2026-02-01")
    stored = await commit(clinic, MEDIA, early)
    gate, writing = gate_of(clinic), call(Interaction.UPDATE, "Media", "m")
    change = Change(MEDIA, {**early, "id": "m"}, None, ("ann",))
    link = await commit(clinic, MEDIA, media(content={"url": "https://elsewhere.example/1"}))

    masked = replace(stored.showing({"resourceType": "Media", "status": "completed"}), masked_from=stored)

    for fine in (*(change._replace(previous=one) for one in (stored, masked)), change._replace(derived=True)):
        assert (await gate.prepare(writing, fine)).basis
    for previous in (None, replace(stored, deleted=True), link):
        with pytest.raises(ConflictError):
            await gate.prepare(writing, change._replace(previous=previous))


async def test_what_is_taken_away_needs_no_basis() -> None:
    clinic = FakeClinic()
    stored = await commit(clinic, MEDIA, media())
    gate, writing = gate_of(clinic), call(Interaction.DELETE, "Media", "m")
    gone = Change(MEDIA, None, stored, ("ann",))
    destroyed = Change(MEDIA, stored.resource, stored, ("ann",), erasures=(Erasure((b"key",)),))

    assert await gate.prepare(writing, gone) is gone
    assert await gate.prepare(writing, destroyed) is destroyed


async def test_an_imported_photo_is_taken_from_a_back_end_and_kept_for_care() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    imported = media(id="m", meta={"tag": [{"system": TAGS, "code": IMPORTED}]}, createdDateTime="2020")
    gate, change = gate_of(clinic), Change(MEDIA, imported, None, ("ann",))
    writing = call(Interaction.CREATE, "Media")
    staff = replace(writing, principal=Principal("nurse", "client", "issuer", "jti", ("user/*.cruds",), role="nurse"))

    with pytest.raises(ForbiddenError, match="system scope"):
        await gate.prepare(staff, change)

    assert (await gate.prepare(writing, change)).basis == CareBasis("eu", "ann", 1)
    for by_the_server in (change._replace(derived=True), change._replace(filed=NOW)):
        assert (await gate.prepare(staff, by_the_server)).basis == CareBasis("eu", "ann", 1)
    stored = await commit(clinic, MEDIA, imported)
    assert (await gate.prepare(staff, change._replace(previous=stored))).basis == CareBasis("eu", "ann", 1)
    with pytest.raises(NoLegalBasisError):
        await gate.prepare(writing, change._replace(previous=stored))


async def test_a_broken_glass_is_told_where_the_answer_rests_on_it() -> None:
    clinic = FakeClinic()
    emergency = {"system": ACT_REASON, "code": "BTG"}
    refusal = consent("ann", "treatment", "deny", provision={"provision": [{"type": "permit", "purpose": [emergency]}]})
    await commit(clinic, CONSENT, refusal, HeadMove("ann", CONSENT, 1, in_force=True))
    stored = await commit(clinic, OBSERVATION, observation())
    gates = [Gate(standing(clinic)[0], clinic.resources, BASE, clinic.elsewhere, one) for one in (None, _Broken())]
    reading, marketing = (replace(call(Interaction.READ), purpose=one, trace=Trace()) for one in ("TREAT", "HMARKT"))
    tied = call(Interaction.READ)
    tied.trace.glass["ann"] = "Task/tie"

    assert await gates[0].disclose(reading, stored) is None
    assert await gates[1].disclose(marketing, stored) is None
    assert marketing.trace.glass == {}
    assert await gates[1].disclose(reading, stored) is stored
    assert reading.trace.glass == {"ann": "Task/glass"}
    assert await gates[0].disclose(tied, stored) is stored
    assert tied.trace.glass == {"ann": "Task/tie"}


async def test_what_a_page_shows_is_foreseen_but_for_what_is_gone_or_proof() -> None:
    clinic = FakeClinic()
    for name in ("ann", "ben", "cai"):
        await commit(clinic, ResourceKey("Patient", name), {"resourceType": "Patient"})
        clinic.memory.heads.setdefault(name, Head(name, 1, {}))
    found = await commit(clinic, OBSERVATION, observation())
    shown = replace(found, access=("Patient/ann", "Practitioner/p"))
    gone, proof = (replace(found, access=(f"Patient/{name}",)) for name in ("ben", "cai"))
    page = [shown, replace(gone, deleted=True), replace(proof, key=ResourceKey("Task", "t"))]
    gate, listing = gate_of(clinic), replace(call(Interaction.SEARCH_TYPE), purpose="HRESCH", trace=Trace())

    await gate.foresee(listing, page)

    assert set(listing.trace.stands) == {"ann"}
    care, again = (replace(listing, purpose="TREAT", trace=Trace(remembering=True)) for _ in range(2))
    await gate.foresee(care, page)
    assert care.trace.stands == {}, "what is remembered will do"
    await gate.foresee(replace(again, purpose="HRESCH"), page)
    assert set(again.trace.stands) == {"ann"}


async def test_whose_consents_look_at_nothing_is_known_where_they_were_looked_up() -> None:
    clinic = FakeClinic()
    await commit(clinic, OBSERVATION, observation())
    stands, _ = standing(clinic)
    trace, remembering = Trace(), Trace(remembering=True)

    assert stands.has_consents("ann", trace)
    await stands.decide(Ask("ann", TREATMENT, NOW), trace)
    assert not stands.has_consents("ann", trace)
    assert not stands.has_consents("ann", remembering)
    assert stands.has_consents("ann", Trace()), "this call has not looked"
    await give(clinic)
    await stands.of("ann")
    assert stands.has_consents("ann", remembering)


async def test_security_contexts_in_a_circle_name_whom_they_name() -> None:
    clinic = FakeClinic()
    for one, other in (("a", "b"), ("b", "a")):
        binary: Json = {"resourceType": "Binary", "contentType": "image/png"}
        context = {"securityContext": {"reference": f"{BASE}/Binary/{other}"}}
        await commit(clinic, ResourceKey("Binary", one), {**binary, **context})
    stored = clinic.memory.current[ResourceKey("Binary", "a")]

    assert await clinic.elsewhere.patients(stored.resource, ()) == ["ann"]


async def test_t_99_a_photo_that_is_filed_anew_was_taken_on_a_basis_then() -> None:
    clock = FakeClock()
    clinic = FakeClinic(clock)
    standing = Standing(clinic.resources, clinic.heads, law_of("gb"))
    gate = Gate(standing, clinic.resources, BASE, clinic.elsewhere)
    photo: Json = {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"reference": "Patient/ann"},
        "content": {"contentType": "image/jpeg", "url": "Binary/x"},
    }
    change = Change(MEDIA, photo, None, ("ann",), filed=NOW)
    asking = call(Interaction.CREATE, "Media")
    nurse = replace(asking, principal=replace(asking.principal, role="practitioner"))
    await give(clinic, kind="deny")
    clock.advance(timedelta(days=1))
    move = HeadMove("ann", CONSENT, 2, in_force=False)
    await commit(clinic, CONSENT, consent("ann", kind="deny", status="entered-in-error"), move)

    with pytest.raises(NoLegalBasisError, match="when this photo was taken"):
        await gate.prepare(nurse, change)

    assert (await gate.prepare(nurse, change._replace(filed=clock.now()))).basis
    imported = {**photo, "meta": {"tag": [{"system": TAGS, "code": IMPORTED}]}}
    assert (await gate.prepare(nurse, change.with_resource(imported))).basis, "it comes without evidence here as well"


async def test_t_99_to_have_renewed_a_consent_takes_none_away_from_a_photo_that_is_filed_anew() -> None:
    clock = FakeClock()
    clinic = FakeClinic(clock)
    gate = gate_of(clinic)
    photo = media(createdDateTime="2026-03-14T10:00:00Z")
    await give(clinic)
    clock.advance(timedelta(days=9))
    await give(clinic, dateTime="2026-03-20T10:00:00Z")

    filed = await gate.prepare(call(Interaction.CREATE, "Media"), Change(MEDIA, photo, None, ("ann",), filed=NOW))

    assert filed.basis == ConsentBasis(CONSENT, 2, "ann", 3)
