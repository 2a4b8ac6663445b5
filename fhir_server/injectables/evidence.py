"""What belongs into a pack of evidence: of the named treatments alone, and of that what may go to its recipient.

Requirements T17, T49, T51, M9. GDPR Art. 5(1)(c): nothing of other treatments, no photo that shows what never happened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_server.consent.provision import purposes
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, TREATMENT, from_act_reason
from fhir_server.consent.releasing import CLAIM_PURPOSE as CLAIM
from fhir_server.consent.releasing import PURPOSES, Ground, Releasing
from fhir_server.engine.call import Call
from fhir_server.engine.change import LegalBasis
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.gathering import Gathered, gathered, opened
from fhir_server.injectables.products import Product
from fhir_server.injectables.treatment import Treatment, Treatments, belongs
from fhir_server.kernel.errors import NoLegalBasisError, StaleBasisError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.labels import is_simulated
from fhir_server.media.photos_within import carries_photo
from fhir_server.media.vocabulary import RENDITION

MOST_PROCEDURES = 20
_SIGNED_FORM = frozenset({"DocumentReference", "QuestionnaireResponse"})
_NEVER_IN_FORCE = frozenset({"draft", "proposed", "rejected", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Raises UnprocessableError for a purpose that is none here, and for a claim that is not for the law."""

    procedures: tuple[str, ...]
    recipient: ResourceKey
    purpose: str
    ground: Ground

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise UnprocessableError(f"The purpose of a pack is {' or '.join(sorted(PURPOSES))} of v3-ActReason.")
        if self.ground is Ground.LEGAL_CLAIM and self.purpose != CLAIM:
            raise UnprocessableError(f"The basis {self.ground} goes with the purpose {CLAIM}.")
        if len(self.procedures) > MOST_PROCEDURES:
            raise UnprocessableError(f"A pack is of at most {MOST_PROCEDURES} procedures.")


@dataclass(frozen=True, slots=True)
class Evidence:
    """`withheld`: how many resources belong to the treatments and may not go to the recipient, or not to the caller."""

    patient: str
    recipient: Stored
    parts: tuple[Stored, ...]
    products: tuple[Product, ...]
    withheld: int
    basis: LegalBasis


class Collecting:
    def __init__(self, engine: Engine, treatments: Treatments, releasing: Releasing) -> None:
        self._engine, self._treatments, self._releasing = engine, treatments, releasing

    async def collect(self, call: Call, asked: Asked) -> Evidence:
        """Raises NoLegalBasisError where a procedure may not go, UnprocessableError for those of two patients."""
        treatments = [await self._treatments.read(call, id) for id in asked.procedures]
        if len({one.patient for one in treatments}) != 1:
            raise UnprocessableError("A pack is of one patient.", expression="Procedure.subject")
        patient = treatments[0].patient
        recipient = (await opened(self._engine, call, [asked.recipient])).found
        if not recipient:
            raise UnprocessableError("The recipient is not on file here.", expression="Parameters.parameter")
        photos, withheld = await self._photos(call, treatments)
        found = [*self._records(treatments), *photos, *await self._consents(call, patient, asked.purpose)]
        outside = self._releasing.outside(call, asked.recipient, asked.purpose)
        parts: list[Stored] = []
        refused = len(withheld.union(*(one.withheld for one in treatments)))
        for one in {one.key: one for one in found}.values():
            if await self._releasing.permits(outside, one, patient, asked.ground):
                parts.append(one)
            elif one.key.type == "Procedure":
                raise NoLegalBasisError("There is no legal basis for handing this treatment to this recipient.")
            else:
                refused += 1
        basis = of_one_state(call.trace.bases[patient], outside.trace.bases[patient])
        call.trace.bases[patient] = basis
        products = dict.fromkeys(product for one in treatments for product in one.products)
        return Evidence(patient, recipient[0], tuple(parts), tuple(products), refused, basis)

    def _records(self, treatments: Sequence[Treatment]) -> Iterator[Stored]:
        for one in treatments:
            yield from (one.procedure, *one.given, *one.articles, *one.notes)

    async def _photos(self, call: Call, treatments: Sequence[Treatment]) -> Gathered:
        subject = (("subject", f"Patient/{treatments[0].patient}"),)

        def concerns(media: Stored) -> bool:
            return _is_evidence(media.resource) and any(belongs(media, one.procedure) for one in treatments)

        return await gathered(self._engine, call, "Media", subject, concerns)

    async def _consents(self, call: Call, patient: str, purpose: str) -> list[Stored]:
        """To what was done, to photographs of it and to handing it over; with the forms that were signed."""
        wanted = {TREATMENT, CARE_PHOTOGRAPHY, "photo-followup", from_act_reason(purpose)}
        every = (await gathered(self._engine, call, "Consent", (("patient", f"Patient/{patient}"),))).found
        consents = [
            one
            for one in every
            if wanted & purposes(one.resource.get("provision", {}))
            if one.resource.get("status") not in _NEVER_IN_FORCE
        ]
        sources = (one.resource.get("sourceReference", {}).get("reference", "") for one in consents)
        forms = [key for text in sources if (key := parse_reference(str(text))) and key.type in _SIGNED_FORM]
        return [*consents, *(await opened(self._engine, call, forms)).found]


def of_one_state(caller: LegalBasis, recipient: LegalBasis) -> LegalBasis:
    """What is recorded and looked at once more: the recipient's. Raises StaleBasisError for two states of consents."""
    if caller.epoch != recipient.epoch:
        raise StaleBasisError("What the pack rests on has changed.")
    return recipient


def _is_evidence(media: Json) -> bool:
    is_rendition = any(one.get("url") == RENDITION for one in media.get("extension", []))
    return carries_photo(media) and not is_rendition and not is_simulated(media)
