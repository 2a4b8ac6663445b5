"""Step: nothing commits and nothing leaves unrecorded.

IHE BALP: one AuditEvent per interaction and per patient touched; EHDS Annex II 3.2.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fhir_server.audit.event import Happening, audit_event
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Change, LegalBasis
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.ports import AuditLog
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import ResourceKey

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, waiting for its number. `server` is the FHIR base of the observer."""

    happening: Happening
    server: str
    bases: Collection[LegalBasis] = ()

    def event(self, event_id: str, recorded: datetime) -> bytes:
        return audit_event(event_id, replace(self.happening, recorded=recorded), server=self.server)


class Recorder(Step):
    """`log` takes what no write carries: reads, refusals, failures."""

    def __init__(self, log: AuditLog, server: str) -> None:
        self._log, self._server = log, server

    async def prepare(self, call: Call, change: Change) -> Change:
        """The events of a write travel in the write itself."""
        basis = str(change.basis) if change.basis else None
        return change.recording(
            *(
                Entry(
                    _happening(call, key=change.key, version=change.version, patient=patient, basis=basis),
                    self._server,
                )
                for patient in change.subjects or (None,)
            )
        )

    async def conclude(self, call: Call, result: Result) -> None:
        if result.failure is not None:
            await self._log.append([self._failed(call, result.failure)])
        elif not result.committed:
            await self._log.append(self._seen(call, result.disclosed))

    def _failed(self, call: Call, failure: FhirError) -> Entry:
        outcome = SERIOUS_FAILURE if failure.status >= _SERVER_FAULT else MINOR_FAILURE
        why = f"{failure.status} {failure.code}: {failure.issues[0].diagnostics}"
        return Entry(_happening(call, outcome=outcome, description=why, key=call.key), self._server)

    def _seen(self, call: Call, disclosed: Sequence[Stored]) -> list[Entry]:
        """One event per distinct patient on the page; one without where no patient was seen."""
        if call.interaction in _LISTS:
            patients = dict.fromkeys(patient for stored in disclosed for patient in stored.subjects)
            return [self._one(call, None, None, patient) for patient in patients or (None,)]
        return [
            self._one(call, stored.key, stored.version, patient)
            for stored in disclosed
            for patient in stored.subjects or (None,)
        ] or [self._one(call, call.key, None, None)]

    def _one(self, call: Call, key: ResourceKey | None, version: int | None, patient: str | None) -> Entry:
        basis = call.trace.bases.get(patient) if patient else None
        happening = _happening(call, key=key, version=version, patient=patient, basis=str(basis) if basis else None)
        return Entry(happening, self._server, (basis,) if basis else ())


_LISTS = frozenset(
    {
        Interaction.SEARCH_TYPE,
        Interaction.SEARCH_SYSTEM,
        Interaction.HISTORY_TYPE,
        Interaction.HISTORY_SYSTEM,
    }
)


def _happening(
    call: Call,
    *,
    outcome: str = SUCCESS,
    description: str = "",
    key: ResourceKey | None = None,
    version: int | None = None,
    patient: str | None = None,
    basis: str | None = None,
) -> Happening:
    return Happening(
        call=call,
        outcome=outcome,
        description=description,
        key=key,
        version=version,
        patient=patient,
        basis=basis,
        recorded=call.instant,
    )
