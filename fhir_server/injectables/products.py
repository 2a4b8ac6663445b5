"""A product as its Medication or Device tells of it, and which products something that was done used.

Requirement B12; Code de la santé publique art. R. 5212-41: name, lot, manufacturer.
https://hl7.org/fhir/R4/medication.html, https://hl7.org/fhir/R4/device.html
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.fhir.reference_places import reference_places
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

TYPES = frozenset({"Medication", "Device"})


@dataclass(frozen=True, slots=True)
class Product:
    """`codes`: all by which it may be told from another with the same lot: codings, UDI-DI, identifiers."""

    reference: str
    name: str
    lot: str
    expires: str
    manufacturer: str
    codes: frozenset[str]

    def may_be(self, code: str) -> bool:
        """What bears no code at all cannot be told apart, and is not left out of a recall."""
        return not code or not self.codes or code in self.codes

    def is_of(self, lot: str) -> bool:
        return bool(lot) and self.lot.casefold() == lot.strip().casefold()


def product_of(resource: Json, reference: str) -> Product:
    """Of a Medication or Device; `reference` is how others name it."""
    batch = resource.get("batch", resource)
    said = resource.get("manufacturer", "")
    return Product(
        reference=reference,
        name=_name(resource),
        lot=str(batch.get("lotNumber", "")).strip(),
        expires=str(batch.get("expirationDate", "")),
        manufacturer=str(said.get("display") or said.get("reference") or "") if isinstance(said, dict) else said,
        codes=frozenset(_codes(resource)),
    )


def contained(resource: Json, reference: str) -> Iterator[Product]:
    """Those that lie within what used them."""
    for one in resource.get("contained", []):
        if one.get("resourceType") in TYPES:
            yield product_of(one, f"{reference}#{one.get('id', '')}")


def referred(resource: Json) -> frozenset[ResourceKey]:
    """Those that it names."""
    found = (parse_reference(text) for _, text in reference_places(resource))
    return frozenset(key for key in found if key is not None and key.type in TYPES)


def _name(resource: Json) -> str:
    names = [one.get("name", "") for one in resource.get("deviceName", [])]
    concept = resource.get("code") or resource.get("type") or {}
    codings = [one.get("display") or one.get("code") or "" for one in concept.get("coding", [])]
    return next((str(one) for one in (*names, concept.get("text"), *codings) if one), "")


def _codes(resource: Json) -> Iterator[str]:
    for concept in (resource.get("code", {}), resource.get("type", {})):
        yield from (str(one["code"]) for one in concept.get("coding", []) if "code" in one)
    yield from (str(one["deviceIdentifier"]) for one in resource.get("udiCarrier", []) if "deviceIdentifier" in one)
    yield from (str(one["value"]) for one in resource.get("identifier", []) if "value" in one)
