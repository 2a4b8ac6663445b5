"""Clients that write as fast as they are let, and remember exactly what was acknowledged to them."""

import asyncio
import base64
import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field

from httpx2 import AsyncClient, HTTPError, Limits, Response

from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, SYSTEM
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.unit.media.pictures import jpeg

FHIR_JSON = "application/fhir+json"


@dataclass
class Acknowledged:
    """`resources`: `Type/id/_history/version` -> a word in it. `photos`: `Binary/id` -> SHA-256 of its bytes.

    `documents`: the same of Binaries too large for one document of the database.
    """

    resources: dict[str, str] = field(default_factory=dict)
    transactions: list[list[str]] = field(default_factory=list)
    photos: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    @property
    def is_of_every_kind(self) -> bool:
        """Whether a loss of any kind of write could be seen."""
        return all((self.resources, self.transactions, self.photos, self.documents))


class Client:
    def __init__(self, http: AsyncClient, name: str, acknowledged: Acknowledged) -> None:
        self._http, self._name, self._acknowledged = http, name, acknowledged
        self._number = 0
        self._own: str | None = None
        self._consenting: str | None = None

    async def run(self, until: asyncio.Event) -> None:
        several = (self._create, self._transaction, self._update, self._photo, self._create, self._delete)
        kinds = (*several, self._document)
        while not until.is_set():
            self._number += 1
            try:
                await kinds[self._number % len(kinds)](f"{self._name}-{self._number}")
            except HTTPError as error:
                self._acknowledged.failures[type(error).__name__] += 1
                await asyncio.sleep(0.05)

    async def _create(self, word: str) -> None:
        answer = await self._send("POST", "/fhir/Patient", patient(word))
        if answer:
            self._own = self._remember(answer, word).partition("/_history/")[0]

    async def _update(self, word: str) -> None:
        if self._own:
            resource = {**patient(word), "id": self._own.removeprefix("Patient/")}
            answer = await self._send("PUT", f"/fhir/{self._own}", resource)
            if answer:
                self._remember(answer, word)

    async def _delete(self, word: str) -> None:
        if self._own and await self._send("DELETE", f"/fhir/{self._own}"):
            self._acknowledged.resources[f"{self._own} is deleted"] = ""
        self._own = None

    async def _transaction(self, word: str) -> None:
        urn = "urn:uuid:00000000-0000-4000-8000-000000000001"
        resources = [{**patient(f"tx-{word}")}, observation(urn, word), observation(urn, word)]
        entries: list[Json] = [
            {"request": {"method": "POST", "url": resource["resourceType"]}, "resource": resource}
            for resource in resources
        ]
        entries[0]["fullUrl"] = urn
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await self._send("POST", "/fhir", bundle)
        if answer:
            places = [entry["response"]["location"] for entry in json.decode(answer.content)["entry"]]
            keys = [place.partition("/fhir/")[2] for place in places]
            self._acknowledged.transactions.append(keys)
            self._acknowledged.resources |= dict.fromkeys(keys, word)

    async def _photo(self, word: str) -> None:
        subject = self._consenting or await self._give_consent(word)
        if subject is None:
            return
        pixels = jpeg()
        media = {
            "resourceType": "Media",
            "status": "completed",
            "subject": {"reference": subject},
            "content": {"contentType": "image/jpeg", "data": base64.b64encode(pixels).decode(), "title": word},
        }
        answer = await self._send("POST", "/fhir/Media", media)
        if answer:
            self._remember(answer, word)
            content = json.decode(answer.content)["content"]
            self._acknowledged.photos[content["url"]] = hashlib.sha256(pixels).hexdigest()

    async def _document(self, word: str) -> None:
        data = secrets.token_bytes(900_000)
        binary = {
            "resourceType": "Binary",
            "meta": {"tag": [{"code": word}]},
            "contentType": "application/pdf",
            "data": base64.b64encode(data).decode(),
        }
        answer = await self._send("POST", "/fhir/Binary", binary)
        if answer:
            key = self._remember(answer, word).partition("/_history/")[0]
            self._acknowledged.documents[key] = hashlib.sha256(data).hexdigest()

    async def _give_consent(self, word: str) -> str | None:
        """A patient of the client's own who agrees to photographs."""
        who = await self._send("POST", "/fhir/Patient", patient(word))
        if not who:
            return None
        subject = self._remember(who, word).partition("/_history/")[0]
        if given := await self._send("POST", "/fhir/Consent", consent(subject)):
            self._remember(given, subject)
            self._consenting = subject
        return self._consenting

    def _remember(self, answer: Response, word: str) -> str:
        key = answer.headers["location"].partition("/fhir/")[2]
        self._acknowledged.resources[key] = word
        return key

    async def _send(self, method: str, path: str, resource: Json | None = None) -> Response | None:
        """The answer where it is a 2xx. 503 is no promise; anything else is nothing that a kill may cause."""
        content = json.encode(resource) if resource else None
        answer = await self._http.request(method, path, content=content, headers={"Content-Type": FHIR_JSON})
        if answer.is_success:
            return answer
        self._acknowledged.failures[str(answer.status_code)] += 1
        if not is_try_again(answer):
            self._acknowledged.surprises.append(f"{method} {path.split('/')[2:3]} {answer.status_code} {answer.text}")
        await asyncio.sleep(0.05)
        return None


def is_try_again(answer: Response) -> bool:
    """503, as a client needs it to be: said in FHIR, and with when to come back."""
    is_outcome = b'"OperationOutcome"' in answer.content
    return answer.status_code == 503 and is_outcome and "retry-after" in answer.headers


def speaking(address: str, token: str) -> AsyncClient:
    limits = Limits(max_connections=40)
    return AsyncClient(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30, limits=limits)


def patient(word: str) -> Json:
    return {"resourceType": "Patient", "name": [{"family": word}], "birthDate": "1974-12-25"}


def observation(subject: str, word: str) -> Json:
    code = {"text": f"Skin type of {word}"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}}


def consent(subject: str) -> Json:
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    category = {"system": "http://loinc.org", "code": "59284-0"}
    policy = {"uri": "https://clinic.example/consent/photography"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [category]}],
        "patient": {"reference": subject},
        "dateTime": "2026-01-01",
        "policy": [policy],
        "provision": {"type": "permit", "purpose": [{"system": SYSTEM, "code": CARE_PHOTOGRAPHY}]},
    }
