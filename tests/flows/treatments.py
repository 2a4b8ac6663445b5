"""A treatment with an injectable as a clinic records it whole: consents, product, procedure, note, photographs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess
from tests.samples import consent, jpeg, media, patient

SNOMED = "http://snomed.info/sct"
FOREHEAD, CHEEK = "52795006", "60819002"


def site(code: str) -> Json:
    return {"coding": [{"system": SNOMED, "code": code}]}


@dataclass(frozen=True, slots=True)
class Treated:
    patient: str
    procedure: Json
    syringe: Json
    begun: datetime

    @property
    def path(self) -> str:
        return f"/fhir/Procedure/{self.procedure['id']}"

    def at(self, **shift: float) -> str:
        return instant(self.begun + timedelta(**shift))

    async def photo(self, office: Caller, code: str = FOREHEAD, **more: Any) -> Json:
        return await office.store(media(self.patient, jpeg(plain=True), bodySite=site(code), **more))


async def treated(
    clinic: InProcess, office: Caller, *, agreed: bool = True, photographed: bool = True, **more: Any
) -> Treated:
    """Now, after both consents, if there are both; `more` goes into the Procedure."""
    person = str((await office.store(patient()))["id"])
    if photographed:
        await office.store(consent(person))
    if agreed:
        await office.store(consent(person, "treatment"))
    syringe = await office.store({"resourceType": "Device", "lotNumber": random_id(), "type": {"text": "Filler"}})
    now = clinic.clinic.surface.clock.now()
    done: Json = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"text": "Injection"},
        "subject": {"reference": f"Patient/{person}"},
        "performedDateTime": instant(now),
        "performer": [{"actor": {"reference": "Practitioner/injector"}}],
        "bodySite": [site(FOREHEAD)],
        "note": [{"text": "No complication."}],
        "usedReference": [{"reference": f"Device/{syringe['id']}"}],
        **more,
    }
    whole = {name: value for name, value in done.items() if value is not None}
    return Treated(person, await office.store(whole), syringe, now)
