"""The Tasks and Parameters of an erasure: the request, the holds that forbid it, what was asked and what is answered.

Row B6 of the obligations: rights requests are Tasks. https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Mapping, Sequence

from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.erasable import Erase, Verdict
from fhir_server.smart.tie_sources import COMPLAINT, TASK_SYSTEM

ERASE, LEGAL_HOLD = "erase", "legal-hold"
HOLDS = f"{TASK_SYSTEM}|{LEGAL_HOLD},{TASK_SYSTEM}|{COMPLAINT}"
"""A search for the Tasks by which nothing of a patient's goes: a hold, and a complaint that is not answered."""

PROPOSED = "draft"
"""The status of a request that nobody has asked for yet: the server proposes it, and a person signs it off."""

_OUTCOME_SYSTEM = "urn:aesthetic-fhir-server:erasure"
_KEY = "key"
_OVER = frozenset({"completed", "cancelled", "rejected", "failed", "entered-in-error"})


def is_open(task: Json) -> bool:
    """Whatever status is not known to end it leaves it open."""
    return task.get("status") not in _OVER


def is_request(task: Json, patient: ResourceKey) -> bool:
    codings = task.get("code", {}).get("coding", [])
    asks = any((one.get("system"), one.get("code")) == (TASK_SYSTEM, ERASE) for one in codings)
    is_asked = is_open(task) and task.get("status") != PROPOSED
    return asks and is_asked and parse_reference(task.get("for", {}).get("reference", "")) == patient


def done(task: Json, decided: Sequence[Verdict], keys: Sequence[bytes]) -> Json:
    """The request as it stays: what went, what stayed and why, and the ids of the keys, by which the worker goes on."""
    said = [
        _output(str(one.record), f"{'erased' if isinstance(one, Erase) else 'kept'}: {one.because}") for one in decided
    ]
    return {**task, "status": "completed", "output": [*said, *(_output(_KEY, key.hex()) for key in keys)]}


def keys_in(request: Stored) -> list[bytes]:
    """Of the version that `done` made, which only the server wrote."""
    outputs = request.resource.get("output", [])
    return [bytes.fromhex(one["valueString"]) for one in outputs if _is_key(one)]


def said_in(request: Stored) -> list[tuple[str, str]]:
    """Each class, and what was decided on it."""
    outputs = request.resource.get("output", [])
    return [(one["type"]["coding"][0]["code"], one["valueString"]) for one in outputs if not _is_key(one)]


def named(body: object) -> Mapping[str, object]:
    """The parameters that an erasure has."""
    given = body.get("parameter") if isinstance(body, dict) and body.get("resourceType") == "Parameters" else None
    found: dict[str, object] = {}
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and one.get("name") == "dryRun":
            found["dryRun"] = one.get("valueBoolean")
        if isinstance(one, dict) and one.get("name") == "request":
            reference = one.get("valueReference")
            text = reference.get("reference") if isinstance(reference, dict) else None
            key = parse_reference(text) if isinstance(text, str) else None
            found["request"] = key if key is not None and key.type == "Task" else None
    return found


def _output(code: str, value: str) -> Json:
    return {"type": {"coding": [{"system": _OUTCOME_SYSTEM, "code": code}]}, "valueString": value}


def _is_key(output: Json) -> bool:
    return bool(output["type"]["coding"][0]["code"] == _KEY)
