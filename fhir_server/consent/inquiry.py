"""`Consent/$decide` and `$consent-periods`: who may, or could on a date, use what, and why; and when consent was there.

Requirements M6, T98, R-PCF-013. Whoever may search the patient's Consents may ask; nothing is told that is not in them.
The gate decides by the same functions on the same facts, so that what is explained is what happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from fhir_server.consent.decision import decide_use, under_broken_glass
from fhir_server.consent.facts import facts_of
from fhir_server.consent.law import Law
from fhir_server.consent.matter import is_photo, is_proof, rendition_of
from fhir_server.consent.purposes import EMERGENCIES, TREATMENT, of_photos
from fhir_server.consent.question import Ask, Deny, Matter, Permit
from fhir_server.consent.timeline import Interval, intervals, stood
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.errors import NoLegalBasisError, NotFoundError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.parse import parse

MOST = 1000
_NEVER_STAFF = frozenset({"Patient", "RelatedPerson"})


@dataclass(frozen=True, slots=True)
class Asked:
    """`resource` may be a photo. `actor` is asked about beside the roles that there are."""

    patient: str | None
    resource: ResourceKey | None
    purpose: str
    at: datetime
    channel: str | None = None
    actor: ResourceKey | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """`who`: a role, `patient`, or the reference of an actor."""

    who: str
    decision: Permit | Deny


class Inquiry:
    """`breakers`: the roles that may break the glass. `zone`: where a date without a time is meant."""

    def __init__(
        self,
        engine: Engine,
        law: Law,
        breakers: frozenset[str] = frozenset(),
        zone: tzinfo = UTC,
        most: int = MOST,
    ) -> None:
        self._engine, self._law, self._breakers, self._zone, self._most = engine, law, breakers, zone, most

    async def decided(self, call: Call, asked: Asked) -> list[Said]:
        """One decision for each role that is bound to secrecy, for the patient, and for the actor that was named.

        For an emergency: what a broken glass opens to those who may break it. To others it is treatment as ever.
        """
        resource = await self._then(call, asked.resource, asked.at) if asked.resource else None
        patient = asked.patient or _subject(resource)
        history = await self._history(call, patient)
        head, consents = stood(history, patient, asked.at)
        ask = self._ask(asked, patient, resource)
        people = [(role, replace(ask, profession=role, actor=None)) for role in sorted(self._law.pack.professions)]
        people.append(("patient", replace(ask, actor=ResourceKey("Patient", patient))))
        if asked.actor:
            people.append((str(asked.actor), ask))
        if asked.purpose in EMERGENCIES:
            people = [(who, under_broken_glass(one) if self._breaks(one) else one) for who, one in people]
        return [Said(who, decide_use(one, consents, head, self._law)) for who, one in people]

    async def periods(self, call: Call, patient: str) -> list[Interval]:
        return intervals(await self._history(call, patient), self._zone)

    def _ask(self, asked: Asked, patient: str, resource: Stored | None) -> Ask:
        purpose, at = TREATMENT if asked.purpose in EMERGENCIES else asked.purpose, asked.at.astimezone(self._zone)
        ask = Ask(patient, purpose, at, asked.resource, asked.actor, Matter.RECORD, channel=asked.channel)
        if resource is None:
            return replace(ask, matter=Matter.PHOTO, purpose=of_photos(purpose))
        photo = is_photo(resource.resource)
        return replace(
            ask,
            facts=facts_of(resource.resource),
            rendition=rendition_of(resource.resource),
            matter=Matter.PHOTO if photo else Matter.PROOF if is_proof(resource.resource) else Matter.RECORD,
            purpose=of_photos(purpose) if photo else purpose,
        )

    def _breaks(self, ask: Ask) -> bool:
        """An actor is asked about without a role: one that staff may have."""
        if ask.profession is not None:
            return ask.profession in self._breakers
        return ask.actor is not None and ask.actor.type not in _NEVER_STAFF

    async def _history(self, call: Call, patient: str) -> Mapping[ResourceKey, Sequence[Stored]]:
        """Of each Consent that the caller may see, oldest version first."""
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type="Consent", id=None)
        query = parse(
            "Consent", [("patient", f"Patient/{patient}"), ("_count", str(self._most))], self._engine.language
        )
        page = await self._engine.search(asking, query)
        if page.next is not None:
            raise TooCostlyError(f"There are more than {self._most} consents.")
        found: dict[ResourceKey, Sequence[Stored]] = {}
        for match in page.matches:
            versions = await self._engine.store.versions(["Consent"], match.key.id, Window(), None, MOST)
            found[match.key] = versions[::-1]
        return found

    async def _then(self, call: Call, key: ResourceKey, at: datetime) -> Stored:
        """As it was; for whoever may know of it, if not see it."""
        asking = replace(call, interaction=Interaction.READ, type=key.type, id=key.id)
        current = await self._engine.store.read(key)
        try:
            seen = await self._engine.steps.disclose(asking, current) if current else None
        except NoLegalBasisError:
            seen = current
        if seen is None:
            raise NotFoundError("There is no resource with this id.")
        versions = await self._engine.store.versions([key.type], key.id, Window(), None, MOST)
        then = next((one for one in versions if one.last_updated <= at), None)
        if then is None or then.deleted:
            raise NotFoundError("There was no such resource at that time.")
        return then


def _subject(resource: Stored | None) -> str:
    """The one patient in whose compartment it lies."""
    patients = [one.removeprefix("Patient/") for one in (resource.access if resource else ()) if "Patient/" in one]
    if len(patients) != 1:
        raise NotFoundError("There was no such resource of one patient at that time.")
    return patients[0]
