"""The question that a person answers: is this patient of the source one whom the clinic knows already?

A Task, asked once per patient of the source. Nobody is matched by e-mail, nor by name alone.
"""

from mappers.mapping.entries import once
from mappers.mapping.identifiers import OURS, identifier, resource_id
from mappers.mapping.json_text import Json
from mappers.mapping.result import IdentityQuestion

MATCH = f"{OURS}:match"
TASKS = f"{OURS}:task"


def match_task(question: IdentityQuestion, patient: Json) -> Json:
    """An entry. It names kinds of detail and no detail: those stand in the Patient."""
    by = patient["identifier"][0]
    return once(
        {
            "resourceType": "Task",
            "identifier": [identifier(MATCH, resource_id(by["system"], by["value"]))],
            "status": "requested",
            "intent": "proposal",
            "code": {"coding": [{"system": TASKS, "code": "match-patient"}], "text": "Is this patient known already?"},
            "description": f"Known by: {', '.join(question.known_by) or 'nothing but the id'}.",
            "focus": {"reference": question.patient},
            "for": {"reference": question.patient},
        }
    )
