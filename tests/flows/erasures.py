"""A patient whose data lie in every class, old enough to go or not; who asks for an erasure and who carries it out."""

from httpx2 import Response

from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import TASK, staff
from tests.samples import consent, jpeg, media, patient

SECRET = "Wolkenstein-Trostburg"
LONG_AGO = "1999-03-04"
MARKETING = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HMARKT"}]}


def task(patient_id: str, code: str, **more: Json) -> Json:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": code}]},
        "for": {"reference": f"Patient/{patient_id}"},
        **more,
    }


def asking(request: str | None = None, *, dry: bool = False) -> Json:
    given: list[Json] = [{"name": "dryRun", "valueBoolean": dry}]
    if request:
        given.append({"name": "request", "valueReference": {"reference": f"Task/{request}"}})
    return {"resourceType": "Parameters", "parameter": given}


class Record:
    """`care`: the day of the treatment. The desk writes; the privacy officer erases."""

    def __init__(self, clinic: InProcess, care: str = LONG_AGO) -> None:
        self.clinic, self.care = clinic, care
        self.desk: Caller = clinic.caller(client="desk")
        self.officer: Caller = staff(clinic, "privacy-officer")
        self.paths: dict[str, str] = {}

    async def begin(self, photos: int = 1, observations: int = 1) -> "Record":
        stored = await self.desk.store(patient(SECRET, birthDate="1960-01-01", id=random_id()))
        self.patient: str = stored["id"]
        of = {"subject": {"reference": f"Patient/{self.patient}"}}
        note = {"note": [{"text": f"Said by {SECRET}"}]}
        for number in range(observations):
            await self._keep(
                f"observation{number}",
                {"resourceType": "Observation", "status": "final", "code": {"text": SECRET}, **of, **note}
                | {"effectiveDateTime": self.care},
            )
        await self._keep("consent", consent(self.patient, dateTime=self.care))
        for number in range(photos):
            await self._keep(f"media{number}", media(self.patient, jpeg(), createdDateTime=self.care))
        actors = [{"actor": {"reference": f"Patient/{self.patient}"}, "status": "accepted"}]
        booked = {"resourceType": "Appointment", "status": "fulfilled", "participant": actors, "comment": SECRET}
        await self._keep("appointment", {**booked, "start": f"{self.care}T10:00:00Z", "end": f"{self.care}T10:30:00Z"})
        message = {"resourceType": "Communication", "status": "completed", "category": [MARKETING], **of}
        await self._keep("marketing", {**message, "payload": [{"contentString": f"Dear {SECRET}"}]})
        return self

    async def _keep(self, name: str, resource: Json) -> None:
        stored = await self.desk.store(resource)
        self.paths[name] = f"/fhir/{stored['resourceType']}/{stored['id']}"
        if name.startswith("media"):
            self.paths[name.replace("media", "photo")] = f"/fhir/{stored['content']['url']}"

    async def request(self, code: str = "erase", who: Caller | None = None) -> str:
        return str((await (who or self.desk).store(task(self.patient, code)))["id"])

    async def erase(self, who: Caller | None = None) -> Response:
        return await (who or self.officer).post(f"/fhir/Patient/{self.patient}/$erase", asking(await self.request()))

    async def told(self) -> dict[str, Json]:
        """What a dry run says, by class."""
        answer = await self.officer.post(f"/fhir/Patient/{self.patient}/$erase", asking(dry=True))
        assert answer.status_code == 200, answer.text
        return by_class(answer)

    async def statuses(self, *names: str) -> set[int]:
        asked = names or tuple(self.paths)
        return {(await self.desk.get(self.paths[name])).status_code for name in asked}


def by_class(answer: Response) -> dict[str, Json]:
    found = {}
    for one in read(answer)["parameter"]:
        if one["name"] == "class":
            part = {each["name"]: next(v for k, v in each.items() if k != "name") for each in one["part"]}
            found[part["name"]] = part
    return found
