"""Real bundles in a clinic, and what they should read like: worked out from the files alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.audit.received import RECEIVED
from fhir_server.fhir.narration import OPENING
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.subscriptions.holder import SUBSCRIBER
from tests.clinics import Caller, read
from tests.samples import synthea


@dataclass(frozen=True, slots=True)
class Loaded:
    """`resources`: `Type/id` on the server -> the resource as the file has it, references put right."""

    name: str
    resources: dict[str, Json]

    def of_type(self, type: str) -> dict[str, Json]:
        return {key: resource for key, resource in self.resources.items() if resource["resourceType"] == type}

    @property
    def patient(self) -> str:
        return next(key for key in self.resources if key.startswith("Patient/"))


async def load(caller: Caller, name: str) -> Loaded:
    bundle = synthea(name)
    answer = await caller.post("/fhir", bundle)
    assert answer.status_code == 200, answer.text
    places = [entry["response"]["location"] for entry in read(answer)["entry"]]
    keys = [place.split("/fhir/")[1].split("/_history/")[0] for place in places]
    return Loaded(name, dict(zip(keys, _expected(bundle, keys), strict=True)))


def _expected(bundle: Json, keys: list[str]) -> Iterator[Json]:
    known = {entry["fullUrl"]: key for entry, key in zip(bundle["entry"], keys, strict=True)}
    for entry in bundle["entry"]:
        text = json.encode(entry["resource"]).decode()
        for full_url, key in known.items():
            text = text.replace(full_url, key)
        yield json.decode(text.encode())


RESTRICTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "code": "R",
    "display": "restricted",
}


def comparable(resource: Json) -> Any:
    """Without what the server gives; numbers by their digits, for Decimal takes 1.50 and 1.5 for equal."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in {"versionId", "lastUpdated"}}
    for name, given in (("security", RESTRICTED), ("tag", RECEIVED)):
        if labels := [label for label in meta.pop(name, []) if label != given]:
            meta[name] = labels
    rest = {name: value for name, value in resource.items() if name not in {"id", "meta"}}
    if OPENING in str(rest.get("text")):
        del rest["text"]
    if others := [one for one in rest.pop("extension", []) if one.get("url") != SUBSCRIBER]:
        rest["extension"] = others
    return _digits({**rest, "meta": meta} if meta else rest)


def _digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _digits(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_digits(child) for child in value]
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return ("number", str(value))
    return value


async def everything(caller: Caller, path: str) -> list[Json]:
    """The resources of all pages, first to last."""
    found: list[Json] = []
    pages = 0
    while path:
        answer = await caller.get(path)
        assert answer.status_code == 200, answer.text
        page = read(answer)
        found += [entry["resource"] for entry in page.get("entry", [])]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        pages += 1
        assert pages < 200, "the pages never end"
    return found


def keys_of(resources: list[Json]) -> list[str]:
    return sorted(f"{resource['resourceType']}/{resource['id']}" for resource in resources)
