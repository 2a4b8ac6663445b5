"""Who works at a test's clinic and whom it treats: callers in their roles, and what ties one to the other."""

from datetime import datetime, timedelta
from typing import Any

from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

TASK = "urn:aesthetic-fhir-server:task"


def staff(clinic: InProcess, role: str, *scopes: str, person: str = "", **more: Any) -> Caller:
    """Somebody with a Practitioner of their own, who may do all that the role may."""
    wide = scopes or ("user/*.cruds", "user/AuditEvent.cruds", "openid", "fhirUser")
    return clinic.caller(*wide, role=role, fhir_user=person or f"Practitioner/{random_id()}", **more)


def of_patient(clinic: InProcess, id: str, *scopes: str) -> Caller:
    wide = scopes or ("patient/*.cruds", "user/*.cruds", "openid", "fhirUser")
    return clinic.caller(*wide, role="patient", fhir_user=f"Patient/{id}", patient=id)


def actor(reference: str, status: str = "accepted") -> Json:
    return {"actor": {"reference": reference}, "status": status}


def appointment(patient_id: str, person: str, at: datetime, status: str = "booked", **more: Any) -> Json:
    return {
        "resourceType": "Appointment",
        "status": status,
        "start": instant(at),
        "end": instant(at + timedelta(minutes=30)),
        "participant": [actor(f"Patient/{patient_id}"), actor(person)],
        **more,
    }


def encounter(patient_id: str, person: str, status: str = "in-progress", **more: Any) -> Json:
    return {
        "resourceType": "Encounter",
        "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient_id}"},
        "participant": [{"individual": {"reference": person}}],
        **more,
    }


def care_team(patient_id: str, person: str, status: str = "active", **more: Any) -> Json:
    return {
        "resourceType": "CareTeam",
        "status": status,
        "subject": {"reference": f"Patient/{patient_id}"},
        "participant": [{"member": {"reference": person}}],
        **more,
    }


def complaint(patient_id: str, person: str, start: datetime, end: datetime, **more: Any) -> Json:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": "complaint-review"}]},
        "for": {"reference": f"Patient/{patient_id}"},
        "owner": {"reference": person},
        "restriction": {"period": {"start": instant(start), "end": instant(end)}},
        **more,
    }


def observation(patient_id: str, **more: Any) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Skin"}, "subject": subject, **more}


class Case:
    """A patient with an observation and a photo under a consent; `desk` is a back end that may write anything."""

    def __init__(self, clinic: InProcess) -> None:
        self.clinic, self.desk = clinic, clinic.caller(client="desk")

    async def begin(self, family: str = "Sample") -> "Case":
        self.patient: str = (await self.desk.store(patient(family)))["id"]
        self.observation: str = (await self.desk.store(observation(self.patient)))["id"]
        await self.desk.store(consent(self.patient))
        stored = await self.desk.store(media(self.patient, jpeg()))
        self.media: str = stored["id"]
        self.photo: str = stored["content"]["url"]
        return self

    @property
    def now(self) -> datetime:
        return self.clinic.clinic.surface.clock.now()

    async def statuses(self, who: Caller) -> tuple[int, int, int]:
        """What becomes of looking at the observation, the photo's Media, and its bytes."""
        paths = (f"Observation/{self.observation}", f"Media/{self.media}", self.photo)
        first, second, third = [(await who.get(f"/fhir/{path}")).status_code for path in paths]
        return first, second, third

    async def sees(self, who: Caller) -> bool:
        """All of it or nothing of it, and the search says the same."""
        found = await self.statuses(who)
        assert found in {(200, 200, 200), (404, 404, 404)}, found
        listed = read(await who.get(f"/fhir/Observation?patient={self.patient}"))
        assert bool(listed.get("entry")) is (found[0] == 200)
        return found[0] == 200
