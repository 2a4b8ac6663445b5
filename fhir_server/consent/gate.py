"""Step: nothing of a patient is used without a legal basis, at that instant; photos need one that says so.

GDPR Art. 6, 7 and 9; architecture section 9; IHE PCF 1.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from fhir_server.consent.clinics_own import require_clinics_own
from fhir_server.consent.decision import under_broken_glass
from fhir_server.consent.elsewhere import Elsewhere
from fhir_server.consent.facts import Facts, facts_of
from fhir_server.consent.matter import PROOF_TYPES, is_photo, is_proof, rendition_of
from fhir_server.consent.past import Past
from fhir_server.consent.purposes import CARE, CARE_PHOTOGRAPHY, TREATMENT, of_call, of_photos
from fhir_server.consent.question import Ask, Deny, Matter, Permit, Reason
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Trace
from fhir_server.engine.change import CareBasis, Change, LegalBasis, Unmoved
from fhir_server.engine.pictured import is_imported, is_of_a_patient
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, ForbiddenError, NoLegalBasisError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_PATIENT = "Patient/"
_WHEN = {"Media": "Media.created", "DocumentReference": "DocumentReference.date"}


class Glasses(Protocol):
    """Who knows before whom the glass was broken."""

    async def broken(self, call: Call, patient: str) -> str | None:
        """The Task by which the caller broke it before this patient; None where they did not."""
        ...


class Gate(Step):
    """Decides on whatever lies in a patient's compartment. `base` is the server's own FHIR base.

    `elsewhere` finds pictures that stand in no Media. Without `glasses` no emergency counts.
    """

    def __init__(
        self,
        standing: Standing,
        store: ResourceStore,
        base: str,
        elsewhere: Elsewhere,
        glasses: Glasses | None = None,
    ) -> None:
        self._standing, self._store, self._base = standing, store, base
        self._elsewhere, self._glasses = elsewhere, glasses
        self._past = Past(store, standing.law, standing.zone)

    async def prepare(self, call: Call, change: Change) -> Change:
        """A photo comes in on a basis that the commit holds to."""
        if change.resource is None or change.erasures:
            # What the server takes away because it may not be there any more needs no basis to go.
            return change
        change = await self._with_pictures(call, change, change.resource)
        if not is_photo(change.content):
            return change
        assert change.resource is not None
        if not is_of_a_patient(change.resource):
            await require_clinics_own(self._store, self._base, call, change)
            return change
        ask = replace(
            self._ask(call, _patient(change.resource), change.key),
            purpose=CARE_PHOTOGRAPHY,
            facts=facts_of(change.resource),
            rendition=rendition_of(change.resource),
            taking=not (_had_photo(change) or change.derived),
        )
        if not _had_photo(change) and is_imported(change.resource):
            if change.filed is None and not change.derived and not _is_back_end(call):
                raise ForbiddenError("A photo is imported under system scope only.", expression="Media.meta.tag")
            # It is kept for care: for whoever treats the patient, bound to secrecy, and for nobody else.
            ask = replace(ask, profession=min(self._standing.law.pack.professions, default=None))
        if change.filed is not None:
            await self._require_taken_rightly(call, ask, change.filed)
            ask = replace(ask, taking=False)
        return change.relying_on(await self._photo_basis(call, ask))

    async def _require_taken_rightly(self, call: Call, ask: Ask, filed: datetime) -> None:
        """There was a basis when it was taken. What came without evidence comes without it here as well."""
        if ask.facts is not None and ask.facts.imported:
            return
        then = await self._past.decide(ask, filed)
        if isinstance(then, Deny):
            await self._photo_basis(call, ask)  # refuses in the words that a new photo would be refused in, or
            raise NoLegalBasisError(f"There was no legal basis when this photo was taken. {then.text}")

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        decided = [stored for stored in found if not stored.deleted and stored.key.type not in PROOF_TYPES]
        patients = [
            one.removeprefix(_PATIENT) for stored in decided for one in stored.access if one.startswith(_PATIENT)
        ]
        await self._standing.foresee(patients, call.trace, likely=of_call(call.purpose) in CARE)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """What is refused does not exist for the caller (R-PCF-012); a photo may be known of, and is refused by name.

        An unreadable status makes bytes unreachable, never free: `entered-in-error` is decided like any other.
        """
        if stored.deleted:
            return stored
        if stored.key.type == "Media" and is_photo(stored.resource):
            await self._photo(call, stored)
        elif stored.key.type not in PROOF_TYPES:
            for compartment in stored.access:
                if compartment.startswith(_PATIENT) and not await self._may(
                    call, stored, compartment.removeprefix(_PATIENT)
                ):
                    return None
        return await self._pictures(call, stored) if await self._elsewhere.seen_in(stored) else stored

    async def _with_pictures(self, call: Call, change: Change, resource: Json) -> Change:
        """Pictures elsewhere than in a Media come in on the basis of each patient whom they may show."""
        before = _before(change)
        old = (
            await self._elsewhere.elements(before.resource) if before and await self._elsewhere.seen_in(before) else {}
        )
        if before and old and change.key.type == "Patient" and await self._pictures(call, before) is not before:
            # Who does not see a picture in a patient's own entry leaves it there, whatever else is altered.
            return change.with_resource({**resource, **old})
        if not await self._elsewhere.comes_in(resource):
            return change
        for patient in await self._elsewhere.patients(resource, change.subjects):
            ask = self._picture(call, patient, change.key, resource)
            basis = await self._photo_basis(call, replace(ask, purpose=CARE_PHOTOGRAPHY, taking=not old))
            unmoved = Unmoved(basis.patient, basis.epoch)
            change = change.only_if(unmoved) if change.basis else change.relying_on(basis)
        return change

    async def _pictures(self, call: Call, stored: Stored) -> Stored | None:
        """A patient's own entry is shown without them where there is no basis; anything else is refused by name."""
        patients = await self._elsewhere.patients(stored.resource, stored.subjects)
        if not patients and stored.key.type == "Binary" and "securityContext" not in stored.resource:
            # Nobody can be asked: what a back end left without saying whom it shows is a matter between back ends.
            return stored if _is_back_end(call) else None
        try:
            for patient in patients:
                ask = self._picture(call, patient, stored.key, stored.resource)
                _rely(call.trace, await self._photo_basis(call, replace(ask, purpose=of_photos(ask.purpose))))
        except NoLegalBasisError:
            if stored.key.type == "Patient":
                return await self._elsewhere.without(stored)
            raise
        return stored

    def _ask(
        self, call: Call, patient: str, key: ResourceKey, matter: Matter = Matter.PHOTO, facts: Facts | None = None
    ) -> Ask:
        principal = call.principal
        actor = parse_reference(principal.fhir_user) if principal.fhir_user else None
        instant = call.instant.astimezone(self._standing.zone)
        return Ask(patient, of_call(call.purpose), instant, key, actor, matter, facts, principal.role)

    def _picture(self, call: Call, patient: str, key: ResourceKey, resource: Json) -> Ask:
        return replace(self._ask(call, patient, key), facts=facts_of(resource), rendition=rendition_of(resource))

    async def _photo(self, call: Call, stored: Stored) -> None:
        if stored.resource.get("status") == "entered-in-error":
            raise NoLegalBasisError("The photo was entered in error; its bytes are not shown.")
        if not is_of_a_patient(stored.resource):
            return
        asked = self._ask(call, _patient(stored.resource), stored.key)
        ask = replace(
            asked,
            purpose=of_photos(asked.purpose),
            facts=facts_of(stored.resource),
            rendition=rendition_of(stored.resource),
        )
        _rely(call.trace, await self._photo_basis(call, ask))

    async def _photo_basis(self, call: Call, ask: Ask) -> LegalBasis:
        """Raises NoLegalBasisError with the reason."""
        decided = await self._decided(call, ask)
        assert ask.resource is not None
        call.trace.decisions[ask.patient, ask.resource] = decided
        if isinstance(decided, Permit):
            return decided.basis
        if decided.reason is Reason.TAKEN_BEFORE:
            raise ConflictError(decided.text, expression=_WHEN.get(ask.resource.type, ask.resource.type))
        raise NoLegalBasisError(f"There is no legal basis for this photo. {decided.text}")

    async def _may(self, call: Call, stored: Stored, patient: str) -> bool:
        facts = facts_of(stored.resource) if self._standing.has_consents(patient, call.trace) else None
        ask = self._ask(call, patient, stored.key, Matter.RECORD, facts)
        decided = await self._decided(call, ask)
        if isinstance(decided, Permit):
            _rely(call.trace, decided.basis)
            return True
        if is_proof(stored.resource):
            return True
        call.trace.decisions[patient, stored.key] = decided
        return False

    async def _decided(self, call: Call, ask: Ask) -> Permit | Deny:
        """For care, a broken glass counts where it is all that ties, and where nothing is permitted without it."""
        tied_by_it = ask.patient in call.trace.glass
        decided = await self._standing.decide(under_broken_glass(ask) if tied_by_it else ask, call.trace)
        cares = ask.purpose in {TREATMENT, CARE_PHOTOGRAPHY}
        if isinstance(decided, Permit) or tied_by_it or not cares or self._glasses is None:
            return decided
        task = await self._glasses.broken(call, ask.patient)
        if task is None:
            return decided
        opened = await self._standing.decide(under_broken_glass(ask), call.trace)
        if isinstance(opened, Permit):
            call.trace.glass[ask.patient] = task
        return opened


def _is_back_end(call: Call) -> bool:
    return any(scope.startswith("system/") for scope in call.principal.scopes)


def _before(change: Change) -> Stored | None:
    """The version before, whole, however much of it the caller was shown."""
    return change.previous and (change.previous.masked_from or change.previous)


def _had_photo(change: Change) -> bool:
    before = _before(change)
    return before is not None and not before.deleted and is_photo(before.resource)


def _rely(trace: Trace, basis: LegalBasis) -> None:
    """One basis per patient is checked and recorded: that of the oldest epoch, and rather a consent than the rule."""
    known = trace.bases.get(basis.patient)
    if known is None or (known.epoch == basis.epoch and isinstance(known, CareBasis) and known.silent):
        trace.bases[basis.patient] = basis


def _patient(resource: Mapping[str, Any]) -> str:
    """The id of the patient that a photo is of; 422 where it names none here."""
    reference = resource.get("subject", {}).get("reference")
    key = parse_reference(reference) if isinstance(reference, str) else None
    if key is None or key.type != "Patient":
        raise UnprocessableError(
            "Media.subject must be a reference to a Patient of this server.", expression="Media.subject"
        )
    return key.id
