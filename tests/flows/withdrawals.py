"""A patient whose photos rest on one consent, the ways to withdraw it, and what is left."""

import base64

from fhir_server.crypto.jws import verify_jws
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.signing import Signer
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.privacy.receipt import RECEIPT_TYPE
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient


class Case:
    """A patient with a consent and photos that rest on it."""

    def __init__(self, doctor: Caller) -> None:
        self.doctor = doctor
        self.patient = ""
        self.consent: Json = {}
        self.photos: list[Json] = []

    async def begin(self, photos: int = 1, size: int = 2_000) -> "Case":
        self.patient = (await self.doctor.store(patient()))["id"]
        self.consent = await self.doctor.store(consent(self.patient))
        self.photos = [await self.doctor.store(media(self.patient, jpeg(size))) for _ in range(photos)]
        return self

    async def withdraw(self, way: str = "operation") -> None:
        path = f"/fhir/Consent/{self.consent['id']}"
        if way == "operation":
            answer = await self.doctor.post(f"{path}/$withdraw")
        else:
            answer = await self.doctor.put(path, {**self.consent, "status": "inactive"})
        assert answer.status_code == 200, answer.text

    def paths(self, photo: int = 0) -> tuple[str, str]:
        return f"/fhir/Media/{self.photos[photo]['id']}", f"/fhir/{self.photos[photo]['content']['url']}"

    async def statuses(self, photo: int = 0) -> list[int]:
        """Of each way to look at a photo."""
        media, binary = self.paths(photo)
        answers = [
            await self.doctor.get(media),
            await self.doctor.get(f"{media}/_history/1"),
            await self.doctor.get(binary),
            await self.doctor.get(binary, Range="bytes=0-9"),
            await self.doctor.get(binary, Accept=FHIR_JSON),
            await self.doctor.ask("HEAD", binary),
        ]
        return [answer.status_code for answer in answers]

    async def receipts(self) -> list[Json]:
        answer = await self.doctor.get(f"/fhir/DocumentReference?subject=Patient/{self.patient}")
        return [entry["resource"] for entry in read(answer).get("entry", [])]


async def until_done(clinic: InProcess) -> None:
    while await clinic.clinic.worker.once():
        pass


async def statement(clinic: InProcess, receipt: Json) -> Json:
    """What the signed text says, once its signature was verified."""
    secret = await clinic.clinic.keyring.named("receipts", KeyClass.SIGNING)
    signed = base64.b64decode(receipt["content"][0]["attachment"]["data"]).decode()
    said: Json = json.decode(verify_jws(signed, Signer(secret).public, RECEIPT_TYPE))
    return said
