"""What a list of patients shows so that two of the same name are told apart: name, birth date, end of the id.

https://hl7.org/fhir/R4/patient.html; https://hl7.org/fhir/R4/datatypes.html#HumanName
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.engine.stored import Stored
from fhir_server.kernel.json import Json

_ENDING = 6
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Listed:
    id: str
    name: str
    birth_date: str
    ending: str


def listed(found: Sequence[Stored]) -> list[Listed]:
    return [
        Listed(
            stored.key.id, name_of(stored.resource), str(stored.resource.get("birthDate", "")), stored.key.id[-_ENDING:]
        )
        for stored in found
    ]


def name_of(person: Json) -> str:
    """The official name, else the first; empty where there is none."""
    names = person.get("name") or [{}]
    name = next((one for one in names if one.get("use") == "official"), names[0])
    text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")])
    return str(text).strip()[:_LONGEST]
