"""An International Patient Summary, put together of resources: a document whose references all resolve inside; pure.

https://hl7.org/fhir/uv/ips/STU2/ (Composition-uv-ips, Bundle-uv-ips); R-IPS-002 to 005. That nothing is there is said
as nothing is there, and never as nothing known: to know of no allergy is a finding, and somebody's to make.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.export.sections import SECTIONS, Section
from fhir_server.fhir.narration import OPENING, with_narrative
from fhir_server.fhir.reference_places import reference_places
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_IPS = "http://hl7.org/fhir/uv/ips/StructureDefinition/"
PROFILE = f"{_IPS}Bundle-uv-ips"
_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_LOINC = "http://loinc.org"
_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'

REFERRED = frozenset(
    {
        *("Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Device", "Specimen"),
        "Substance",
    }
)
"""Of what the entries refer to, what comes with them; any other reference says that it is masked."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """`entries`: what may be in a section; `beside`: what these refer to; `withheld`: types that may not be read."""

    patient: Json
    entries: Sequence[Json]
    beside: Sequence[Json]
    withheld: frozenset[str]


@dataclass(frozen=True, slots=True)
class Maker:
    """`base`: of the addresses of resources; `clinic`: whose document it is; `new_uuid` gives a fresh UUID."""

    base: str
    clinic: str
    new_uuid: Callable[[], str]

    def document(self, gathered: Gathered, now: datetime) -> Json:
        author = self.new_uuid()
        sections = [(one, [each for each in gathered.entries if one.takes(each)]) for one in SECTIONS]
        told = [one for _, entries in sections for one in entries]
        patient = _identified(gathered.patient)
        beside = [one for one in gathered.beside if one["resourceType"] in REFERRED]
        inside = {_key(one): one for one in (patient, *told, *beside)}
        used = self._used([_key(patient), *map(_key, told)], inside)
        composition = self._composition(patient, author, sections, gathered.withheld, now)
        organization = {"resourceType": "Organization", "id": author, "name": self.clinic}
        return {
            "resourceType": "Bundle",
            "id": self.new_uuid(),
            "meta": {"profile": [PROFILE]},
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{self.new_uuid()}"},
            "type": "document",
            "timestamp": instant(now),
            "entry": [
                {"fullUrl": f"urn:uuid:{composition['id']}", "resource": composition},
                *({"fullUrl": f"{self.base}/{key}", "resource": self._within(inside[key], used)} for key in used),
                {"fullUrl": f"urn:uuid:{author}", "resource": organization},
            ],
        }

    def _composition(
        self,
        patient: Json,
        author: str,
        sections: Sequence[tuple[Section, Sequence[Json]]],
        withheld: frozenset[str],
        now: datetime,
    ) -> Json:
        return {
            "resourceType": "Composition",
            "id": self.new_uuid(),
            "meta": {"profile": [f"{_IPS}Composition-uv-ips"]},
            "status": "final",
            "type": {"coding": [{"system": _LOINC, "code": "60591-5", "display": "Patient summary Document"}]},
            "subject": {"reference": f"{self.base}/{_key(patient)}"},
            "date": instant(now),
            "author": [{"reference": f"urn:uuid:{author}", "display": self.clinic}],
            "title": "International Patient Summary",
            "custodian": {"reference": f"urn:uuid:{author}"},
            "section": [
                self._section(one, entries, withheld) for one, entries in sections if entries or one.is_required
            ],
        }

    def _section(self, section: Section, entries: Sequence[Json], withheld: frozenset[str]) -> Json:
        code = {"coding": [{"system": _LOINC, "code": section.code, "display": section.display}]}
        head = {"title": section.title, "code": code}
        if entries:
            lines = "".join(f"<li>{_line(one)}</li>" for one in entries)
            references = [{"reference": f"{self.base}/{_key(one)}"} for one in entries]
            return {**head, "text": _text(f"<ul>{lines}</ul>"), "entry": references}
        reason, says = ("unavailable", "No information is available.")
        if not section.types.isdisjoint(withheld):
            reason, says = ("withheld", "This information may not be shown to whoever asked.")
        empty = {"coding": [{"system": _EMPTY, "code": reason}], "text": says}
        return {**head, "text": _text(says), "emptyReason": empty}

    def _used(self, told: Sequence[ResourceKey], inside: Mapping[ResourceKey, Json]) -> dict[ResourceKey, None]:
        """What is told of, then whatever of the others that refers to: nothing lies in it for nothing."""
        used: dict[ResourceKey, None] = dict.fromkeys(told)
        waiting = list(used)
        while waiting:
            for _, text in reference_places(inside[waiting.pop()]):
                key = parse_reference(text.removeprefix(f"{self.base}/"))
                if key is not None and key in inside and key not in used:
                    used[key] = None
                    waiting.append(key)
        return used

    def _within(self, resource: Json, inside: Mapping[ResourceKey, None]) -> Json:
        """With its references to what is inside, and none that leads out of the document."""
        found: Json = _led(resource, self.base, inside)
        return found


def _led(node: Any, base: str, inside: Mapping[ResourceKey, None]) -> Any:  # noqa: ANN401  JSON is any value
    if isinstance(node, list):
        return [_led(one, base, inside) for one in node]
    if not isinstance(node, dict):
        return node
    led = {name: _led(value, base, inside) for name, value in node.items()}
    text = node.get("reference")
    if not isinstance(text, str) or text.startswith("#"):
        return led
    key = parse_reference(text.removeprefix(f"{base}/"))
    if key in inside:
        return {**led, "reference": f"{base}/{key}"}
    kept = {name: value for name, value in led.items() if name in {"display", "type", "id"}}
    return {**kept, "extension": [{"url": _ABSENT, "valueCode": "masked"}]}


def _identified(patient: Json) -> Json:
    """ips-pat-1: with a name and a birth date, or the word that they are not known."""
    unknown = {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}
    named = any({"family", "given", "text"} & name.keys() for name in patient.get("name", []))
    name = {} if named else {"name": [{"_text": unknown}]}
    birth = {} if "birthDate" in patient else {"_birthDate": unknown}
    return {**patient, **name, **birth}


def _line(resource: Json) -> str:
    told = with_narrative({name: value for name, value in resource.items() if name != "text"})["text"]["div"]
    return str(told).removeprefix(OPENING).removesuffix("</div>")


def _text(content: str) -> Json:
    return {"status": "generated", "div": f"{_DIV}{content}</div>"}


def _key(resource: Json) -> ResourceKey:
    return ResourceKey(resource["resourceType"], resource["id"])
