"""The question that a person answers: is this patient of the source one whom the clinic knows already?

A Task, asked once per patient of the source. Nobody is matched by e-mail, nor by name alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mappers.mapping.entries import once
from mappers.mapping.identifiers import OURS, identifier, resource_id
from mappers.mapping.json_text import Json
from mappers.mapping.result import IdentityQuestion

MATCH = f"{OURS}:match"
TASKS = f"{OURS}:task"
_QUESTION = "match-patient"
GRADES = "http://terminology.hl7.org/CodeSystem/match-grade"


def match_task(question: IdentityQuestion, patient: Json) -> Json:
    """An entry. It names kinds of detail and no detail: those stand in the Patient."""
    by = patient["identifier"][0]
    return once(
        {
            "resourceType": "Task",
            "identifier": [identifier(MATCH, resource_id(by["system"], by["value"]))],
            "status": "requested",
            "intent": "proposal",
            "code": {"coding": [{"system": TASKS, "code": _QUESTION}], "text": "Is this patient known already?"},
            "description": f"Known by: {', '.join(question.known_by) or 'nothing but the id'}.",
            "focus": {"reference": question.patient},
            "for": {"reference": question.patient},
        }
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody on file who may be meant, and how sure the server is of it (`match-grade`)."""

    reference: str
    grade: str


def is_question(entry: Json) -> bool:
    coding = entry["resource"].get("code", {}).get("coding", ())
    return entry["resource"]["resourceType"] == "Task" and any(one["code"] == _QUESTION for one in coding)


def answered(entry: Json, candidates: Sequence[Candidate]) -> Json:
    """The question with those who come into question."""
    asked = [
        {"type": {"coding": [{"system": GRADES, "code": one.grade}]}, "valueReference": {"reference": one.reference}}
        for one in candidates
    ]
    return {**entry, "resource": {**entry["resource"], "input": asked}}
