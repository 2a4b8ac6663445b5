"""Step: nothing commits and nothing leaves unrecorded.

IHE BALP: one AuditEvent per interaction and per patient touched; EHDS Annex II 3.2.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from fhir_server.audit.agents import Organization
from fhir_server.audit.event import SUCCESS, Draft, Happening, draft, page_drafts
from fhir_server.audit.received import marked
from fhir_server.audit.released import disclosure
from fhir_server.engine.call import Call, Interaction, Release
from fhir_server.engine.change import Change, LegalBasis
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.ports import AuditLog
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import ResourceKey

MINOR_FAILURE, SERIOUS_FAILURE = "4", "8"
"""http://terminology.hl7.org/CodeSystem/audit-event-outcome: the client's, and ours."""

_NO_TOKEN, _SERVER_FAULT = 401, 500
_LISTS = frozenset(
    {Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM, Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM}
)


class Entry(NamedTuple):
    """An event that waits for its number, and the bases and the grant that must still hold when it is written."""

    draft: Draft
    bases: Collection[LegalBasis] = ()
    grant: str = ""

    def event(self, event_id: str, recorded: datetime) -> bytes:
        return self.draft.event(event_id, recorded)


@runtime_checkable
class Refusal(Protocol):
    """A decision against it; it names the Consent that refuses, where one does."""

    @property
    def reason(self) -> str: ...

    @property
    def consent(self) -> ResourceKey | None: ...

    @property
    def version(self) -> int | None: ...


class Recorder(Step):
    """`log` takes what no write carries: reads, refusals, failures. `server` is the FHIR base of the observer.

    `clinic` is for whom people ask here, and from where the data come.
    """

    def __init__(self, log: AuditLog, server: str, clinic: Organization | None = None) -> None:
        self._log, self._server, self._clinic = log, server, clinic

    async def prepare(self, call: Call, change: Change) -> Change:
        """The events of a write travel in the write itself."""
        if change.key.type == "AuditEvent" and change.resource is not None:
            change = change.with_resource(marked(change.resource))
        return change.recording(*[self._written(call, change, patient) for patient in change.subjects or (None,)])

    async def conclude(self, call: Call, result: Result) -> None:
        if result.failure is not None:
            await self._log.append(self._failed(call, result.failure))
        elif call.interaction in _LISTS:
            await self._log.append(self._listed(call, result.disclosed))
        elif not result.committed:
            await self._log.append(self._seen(call, result.disclosed))

    def _written(self, call: Call, change: Change, patient: str | None) -> Entry:
        basis = str(change.basis) if change.basis else None
        happening = self._happened(_towards(call, patient), change.key, change.version, patient, basis)
        return Entry(draft(happening, server=self._server), (), call.principal.grant)

    def _failed(self, call: Call, failure: FhirError) -> list[Entry]:
        """One event per patient that something was decided about; one without where it did not come to that."""
        refusing = {patient: _consent(decided) for (patient, _), decided in call.trace.decisions.items()}
        about: list[tuple[str | None, str | None]] = list(refusing.items())
        return [self._failure(call, failure, patient, consent) for patient, consent in about or [(None, None)]]

    def _failure(self, call: Call, failure: FhirError, patient: str | None, consent: str | None) -> Entry:
        happening = self._happened(_towards(call, patient), call.key, call.version, patient, consent)._replace(
            outcome=SERIOUS_FAILURE if failure.status >= _SERVER_FAULT else MINOR_FAILURE,
            description=f"{failure.status}: {failure.issues[0].diagnostics}",
            issue=failure.issues[0].code,
        )
        bases, grant = call.trace.relied_on((), call.principal.grant)
        # A refusal tells something too, unless it is that the token is no good: that one relies on no grant.
        relied_on = "" if failure.status == _NO_TOKEN else grant
        return Entry(draft(happening, server=self._server), bases, relied_on)

    def _listed(self, call: Call, disclosed: Sequence[Stored]) -> list[Entry]:
        """One event per distinct patient on the page; one without where no patient was seen."""
        patients = dict.fromkeys(patient for stored in disclosed for patient in stored.subjects)
        bases = {patient: call.trace.bases.get(patient) for patient in patients}
        seen = {patient: str(basis) if basis else None for patient, basis in bases.items()}
        drafts = page_drafts(self._happened(_towards(call, *seen), None, None, None, None), seen, server=self._server)
        held = tuple(basis for basis in bases.values() if basis)
        # The bases of the whole page hang on its first event: they must hold for all of it or none is answered.
        grant = call.principal.grant
        return [Entry(one, held if place == 0 else (), grant) for place, one in enumerate(drafts)]

    def _seen(self, call: Call, disclosed: Sequence[Stored]) -> list[Entry]:
        if not disclosed:
            return [self._shown(call, call.key, None, None, None)]
        if call.trace.release:
            return self._released(call, call.trace.release, disclosed)
        return [
            self._shown(call, stored.key, stored.version, patient, call.trace.bases.get(patient or ""))
            for stored in disclosed
            for patient in stored.subjects or (None,)
        ]

    def _released(self, call: Call, release: Release, disclosed: Sequence[Stored]) -> list[Entry]:
        """One event per patient, with all that was handed over of theirs and of nobody's."""
        entries = []
        for patient in dict.fromkeys(patient for stored in disclosed for patient in stored.subjects):
            theirs = [one for one in disclosed if not one.subjects or patient in one.subjects]
            basis = call.trace.bases.get(patient)
            event = disclosure(call, release, patient, str(basis or ""), theirs, self._clinic, self._server)
            entries.append(Entry(event, (basis,) if basis else (), call.principal.grant))
        return entries

    def _shown(
        self, call: Call, key: ResourceKey | None, version: int | None, patient: str | None, basis: LegalBasis | None
    ) -> Entry:
        named = str(basis) if basis else None
        happening = self._happened(_towards(call, patient), key, version, patient, named)
        relied_on = call.trace.relied_on((basis,) if basis else (), call.principal.grant)
        return Entry(draft(happening, server=self._server), *relied_on)

    def _happened(
        self, call: Call, key: ResourceKey | None, version: int | None, patient: str | None, basis: str | None
    ) -> Happening:
        return Happening(call, SUCCESS, "", key, version, patient, basis, call.instant, self._clinic)


_BROKEN = "BTG"


def _towards(call: Call, *patients: str | None) -> Call:
    """Where nothing but a broken glass ties the caller to one of them, that is the purpose."""
    glass = call.trace.glass
    if not glass or glass.keys().isdisjoint(patients):
        return call
    return replace(call, purpose=_BROKEN)


def _consent(decided: object) -> str | None:
    """The version of the Consent that refused."""
    if not isinstance(decided, Refusal) or decided.consent is None:
        return None
    return f"{decided.consent}/_history/{decided.version}"
