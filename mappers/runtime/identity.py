"""Who on file a patient of the source may be: asked of the server (`Patient/$match`), for those who are new here.

https://hl7.org/fhir/R4/patient-operation-match.html. The server grades; a person decides.
"""

from collections.abc import Sequence

from mappers.mapping.json_text import Json
from mappers.mapping.matching import Candidate, answered, is_question
from mappers.runtime.faults import RejectedError
from mappers.runtime.server import Server

_MOST = 10
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_TOO_LITTLE = 422
_OURS = frozenset({"extension", "meta"})


async def with_candidates(server: Server, entries: Sequence[Json]) -> list[Json]:
    """The transaction with its questions as far as they are open.

    Of those whom it makes it is asked who they are, with the candidates. Of who has a birth date and is like nobody,
    nothing is asked; of who has none, a person is asked nevertheless. The others are known.
    """
    new = {entry["fullUrl"]: entry["resource"] for entry in entries if _is_new_patient(entry)}
    found: list[Json] = []
    for entry in entries:
        if not is_question(entry):
            found.append(entry)
        elif patient := new.get(entry["resource"]["focus"]["reference"]):
            candidates = await _candidates(server, patient)
            if candidates:
                found.append(answered(entry, candidates))
            elif candidates is None or "birthDate" not in patient:
                found.append(entry)
    return found


def _is_new_patient(entry: Json) -> bool:
    return bool(entry["resource"]["resourceType"] == "Patient" and entry["request"]["method"] == "POST")


async def _candidates(server: Server, patient: Json) -> list[Candidate] | None:
    """None where too little is known of the patient to look for anybody."""
    described = {element: value for element, value in patient.items() if element not in _OURS}
    if names := [part for name in patient.get("name", ()) for part in _parts(name)]:
        described["name"] = names
    given = [{"name": "resource", "resource": described}, {"name": "count", "valueInteger": _MOST}]
    try:
        answer = await server.ask("Patient/$match", {"resourceType": "Parameters", "parameter": given})
    except RejectedError as error:
        if error.status == _TOO_LITTLE:
            return None
        raise
    return [_candidate(entry) for entry in answer.get("entry", ())]


def _parts(name: Json) -> list[Json]:
    """A name in one piece both ways round: to look by, never to keep."""
    words = str(name.get("text", "")).split()
    if "family" in name or len(words) < 2:  # noqa: PLR2004  one word is no name in one piece
        return [name]
    first, last = words[0], words[-1]
    return [{"family": last, "given": [first]}, {"family": first, "given": [last]}]


def _candidate(entry: Json) -> Candidate:
    grades = (one["valueCode"] for one in entry["search"].get("extension", ()) if one["url"] == _GRADE)
    return Candidate(f"Patient/{entry['resource']['id']}", next(grades, "possible"))
