"""`Medication/$lot-recall`: a draft of a notice for each patient who was given of a lot, and a Task for who sends them.

Requirement M10; Regulation (EU) 2017/745 Art. 10(12), 83. Nothing is sent: a notice has the status `preparation`.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from fhir_server.engine.bundles import Bundles
from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.lots import Lots, Traced, Use, Wanted
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import FhirError, UnprocessableError
from fhir_server.kernel.json import Json

RECALL = "urn:aesthetic-fhir-server:lot-recall"
"""Category of the notices, and the system of the identifiers by which a recall that is repeated finds its own."""

TASK = "urn:aesthetic-fhir-server:task"
_AT_ONCE = 100
_LONGEST_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Notice:
    """`text` in the place of our own words, where there is one; `reason`: why, as who recalls says."""

    language: str = "en"
    text: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.language not in _words():
            raise UnprocessableError(f"A notice is written in {' or '.join(sorted(_words()))}.")
        if max(len(self.text), len(self.reason)) > _LONGEST_TEXT:
            raise UnprocessableError(f"A text has at most {_LONGEST_TEXT} characters.")


@dataclass(frozen=True, slots=True)
class Recalled:
    """`notices` in the order of `traced.patients`."""

    traced: Traced
    task: Stored
    notices: tuple[Stored, ...]


class Recalls:
    def __init__(self, engine: Engine, bundles: Bundles, lots: Lots) -> None:
        self._engine, self._bundles, self._lots = engine, bundles, lots

    async def recall(self, call: Call, wanted: Wanted, notice: Notice) -> Recalled:
        """Whoever repeats it finds the notices that are there and drafts those that are missing."""
        traced = await self._lots.patients(call, wanted)
        try:
            task = (await self._written(call, [_task(wanted, notice, traced, call)]))[0]
            notices: list[Stored] = []
            for start in range(0, len(traced.patients), _AT_ONCE):
                some = traced.patients[start : start + _AT_ONCE]
                drafts = [_draft(wanted, notice, each, traced.uses, str(task.key)) for each in some]
                notices += await self._written(call, drafts)
        except FhirError as failure:
            await self._engine.refused(call, failure)
            raise
        return Recalled(traced, task, tuple(notices))

    async def _written(self, call: Call, resources: Sequence[Json]) -> list[Stored]:
        """In one transaction of the caller's own; what is there already stays as it is."""
        entries = [_entry(one) for one in resources]
        bundle: Json = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        asking = replace(call, interaction=Interaction.TRANSACTION, type=None, id=None, operation=None, trace=Trace())
        answers = await self._bundles.process(asking, bundle)
        return [answer.stored for answer in answers if answer.stored is not None]


def _entry(resource: Json) -> Json:
    [identifier] = resource["identifier"]
    return {
        "resource": resource,
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier={identifier['system']}|{identifier['value']}",
        },
    }


def _identifier(wanted: Wanted, *of: str) -> Json:
    """The same whenever the same is recalled; the lot may hold letters that a search gives a meaning to."""
    said = "\n".join((wanted.lot.strip().casefold(), wanted.product, *of))
    return {"system": RECALL, "value": hashlib.sha256(said.encode()).hexdigest()}


def _task(wanted: Wanted, notice: Notice, traced: Traced, call: Call) -> Json:
    lacks = "" if traced.complete else " The list is not complete: not all records were within reach."
    told = (
        f"Recall of lot {wanted.lot.strip()}: read, complete and send the notices to {len(traced.patients)} patients."
    )
    return {
        "resourceType": "Task",
        "identifier": [_identifier(wanted)],
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [{"system": TASK, "code": "lot-recall"}]},
        "description": told + lacks,
        "authoredOn": instant(call.instant),
        **({"reasonCode": {"text": notice.reason}} if notice.reason else {}),
        "input": [
            _input("lot", "valueString", wanted.lot.strip()),
            *([_input("product", "valueString", wanted.product)] if wanted.product else []),
            _input("patients", "valueUnsignedInt", len(traced.patients)),
            _input("withheld", "valueUnsignedInt", traced.withheld),
            _input("complete", "valueBoolean", traced.complete),
        ],
    }


def _input(name: str, kind: str, value: str | int) -> Json:
    return {"type": {"coding": [{"system": RECALL, "code": name}]}, kind: value}


def _draft(wanted: Wanted, notice: Notice, patient: str, uses: Sequence[Use], task: str) -> Json:
    its = [use for use in uses if use.patient == patient]
    names = dict.fromkeys(product.name for use in its for product in use.products if product.name)
    days = dict.fromkeys(use.when[:10] for use in its if use.when)
    text = notice.text or _words()[notice.language].format(
        product=", ".join(names) or "?", lot=wanted.lot.strip(), date=", ".join(days) or "?"
    )
    somebody = {"reference": f"Patient/{patient}"}
    return {
        "resourceType": "Communication",
        "identifier": [_identifier(wanted, patient)],
        "partOf": [{"reference": task}],
        "status": "preparation",
        "category": [{"coding": [{"system": RECALL, "code": "lot-recall"}]}],
        "priority": "urgent",
        "subject": somebody,
        "about": [{"reference": str(use.stored.key)} for use in its],
        "recipient": [somebody],
        "payload": [{"contentString": text}],
    }


@cache
def _words() -> Mapping[str, str]:
    return tomllib.loads(files("fhir_server.injectables").joinpath("notices.toml").read_text(encoding="utf-8"))
