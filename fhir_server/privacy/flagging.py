"""What patients' answers on photographs mean for the clinic: a Flag in the file while they stand.

Requirements T82: where photographs are part of care, refusing them is not silent. S73: a publication may be permitted
where documentation is refused, and then the treatment that is shown is not documented. Neither blocks anything.
https://hl7.org/fhir/R4/flag.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.consent.provision import purposes
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, MARKETING
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import in_force
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Step
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.receipt import Scribe

FLAG_ANSWERS = "flag-answers"
SYSTEM = "urn:aesthetic-fhir-server:flag"
_CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/flag-category", "code": "clinical", "display": "Clinical"}


@dataclass(frozen=True, slots=True)
class _Kind:
    code: str
    text: str


REFUSED = _Kind("care-photographs-refused", "The patient refuses photographs as part of care.")
UNDOCUMENTED = _Kind(
    "published-not-documented",
    "The patient permits a publication and refuses photographs as part of care: check what the insurer and the duty to "
    "keep records ask for.",
)


class Answers(Step):
    """Queues the look at what a patient answered, in the commit that changes it."""

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Consent":
            return change
        before = change.previous.resource if change.previous and not change.previous.deleted else None
        said = {*meant(before or {}), *meant(change.resource or {})}
        reference = change.content.get("patient", {}).get("reference")
        patient = parse_reference(reference) if isinstance(reference, str) else None
        if not said or patient is None:
            return change
        return change.queueing(Task(FLAG_ANSWERS, patient.id, f"{change.key}/_history/{change.version}"))


class Flagging:
    """A task handler: raises the Flags that the answers ask for, and ends those that they do not. Safe to repeat."""

    def __init__(self, engine: Engine, standing: Standing, scribe: Scribe, clock: Clock, server: Principal) -> None:
        self._engine, self._standing, self._scribe = engine, standing, scribe
        self._clock, self._server = clock, server

    async def __call__(self, task: Task) -> None:
        stand = await self._standing.of(task.patient)
        raised = wanted(stand.consents if stand else ())
        for kind in (REFUSED, UNDOCUMENTED):
            await self._settle(task.patient, kind, raised=kind in raised)

    async def _settle(self, patient: str, kind: _Kind, *, raised: bool) -> None:
        """One Flag for each patient and kind, under an id that nobody foresees."""
        key = ResourceKey("Flag", f"flag-{self._scribe.name(f'{patient} {kind.code}')[:40]}")
        stored = await self._engine.store.read(key)
        there = stored is not None and not stored.deleted and stored.resource["status"] == "active"
        if raised == there:
            return
        now = self._clock.now()
        if raised:
            resource = _flag(key, patient, kind, instant(now))
        else:
            assert stored is not None, "what is there was read"
            period = {**stored.resource.get("period", {}), "end": instant(now)}
            resource = {**stored.resource, "status": "inactive", "period": period}
        call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
        await self._engine.commit(call, self._engine.drafts.of(key, resource, stored))


def wanted(consents: Sequence[Json]) -> frozenset[_Kind]:
    """Pure."""
    said = {one for consent in consents for one in meant(consent)}
    if "deny" not in said:
        return frozenset()
    return frozenset({REFUSED, UNDOCUMENTED} if "permit" in said else {REFUSED})


def meant(consent: Json) -> set[str]:
    """`deny`: it refuses photographs in care. `permit`: it permits a publication. Nothing where it has ended."""
    rule = consent.get("provision")
    if not isinstance(rule, dict) or not in_force(consent):
        return set()
    named = purposes(rule)
    if rule.get("type") == "deny" and CARE_PHOTOGRAPHY in named:
        return {"deny"}
    return {"permit"} if rule.get("type") == "permit" and not MARKETING.isdisjoint(named) else set()


def _flag(key: ResourceKey, patient: str, kind: _Kind, now: str) -> Json:
    return {
        "resourceType": "Flag",
        "id": key.id,
        "identifier": [{"system": SYSTEM, "value": kind.code}],
        "status": "active",
        "category": [{"coding": [_CATEGORY]}],
        "code": {"coding": [{"system": SYSTEM, "code": kind.code}], "text": kind.text},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": now},
    }
