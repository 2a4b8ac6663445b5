"""How far a breach reached: what the log shows that was touched, and all that what was lost could have opened.

GDPR Art. 33(3)(a), row S21. `confirmed` is from the audit log. `possible` is worked out by asking the engine as whoever
has the lost credential, and by the keys: what was copied leaves no event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.visible import shown
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ForbiddenError, TooCostlyError
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.breaches.record import Breach
from fhir_server.privacy.ports import Holdings
from fhir_server.privacy.premises import Premises
from fhir_server.privacy.reading import everything
from fhir_server.search.tree import Query
from fhir_server.smart.rights import rights_of

MOST_EVENTS = 50_000
MOST_RESOURCES = 200_000
_AT_ONCE = 200
_NOT_RECORDS = frozenset({"AuditEvent", "Binary"})
"""The log is not the patients'; bytes are counted with what carries them."""


@dataclass(slots=True)
class Touched:
    """Patient -> the resources of theirs; `events`: how many events of the log say so."""

    resources: dict[str, set[str]] = field(default_factory=dict)
    events: int = 0

    def add(self, patients: Iterable[str], resources: Iterable[str]) -> None:
        found = set(resources)
        for patient in patients:
            self.resources.setdefault(patient, set()).update(found)

    @property
    def records(self) -> int:
        return len(set().union(*self.resources.values()))


@dataclass(frozen=True, slots=True)
class Scope:
    """`intelligible`: what was lost could be read by whoever has it (Art. 34(3)(a)). `because`: how we know."""

    confirmed: Touched
    possible: Touched
    intelligible: bool
    because: tuple[str, ...]


class Reach:
    def __init__(self, engine: Engine, premises: Premises, holdings: Holdings) -> None:
        self._engine, self._premises, self._holdings = engine, premises, holdings

    async def of(self, call: Call, breach: Breach) -> Scope:
        """Raises ForbiddenError for who may not search the log, TooCostlyError where it is too much to list."""
        confirmed, possible, because = Touched(), Touched(), list[str]()
        for agent, principals, lost in await self._credentials(breach):
            await self._confirm(call, breach, agent, confirmed)
            for principal in principals:
                await self._possible(call.instant, principal, possible)
            because.append(f"{lost}: all that its scopes and roles reach")
        opened = bool(because)
        for reference in breach.inputs.get("lost-patient-key", ()):
            await self._under_keys_of(reference, possible)
            because.append(f"the keys of {reference}: all that is sealed under them")
            opened = True
        dump, root = breach.says("lost-dump"), breach.says("lost-root-key")
        if dump or root:
            await self._everybody(possible)
            opened = opened or (dump and root)
            because.append(_of_database(dump=dump, root=root))
        return Scope(confirmed, possible, opened, tuple(because))

    async def _credentials(self, breach: Breach) -> list[tuple[tuple[str, str], list[Principal], str]]:
        found = []
        for client in breach.inputs.get("lost-client", ()):
            principals = list(await self._premises.as_client(client))
            found.append((("agent:identifier", str(client)), principals, "the client's credential"))
        for person in breach.inputs.get("lost-person", ()):
            principals = list(await self._premises.as_person(person))
            found.append((("agent", str(person)), principals, f"the sign-in of {person}"))
        return found

    async def _confirm(self, call: Call, breach: Breach, agent: tuple[str, str], confirmed: Touched) -> None:
        pairs = [agent, ("outcome", "0")]
        for name, prefix in (("since", "ge"), ("until", "le")):
            if (moment := breach.moment(name)) is not None:
                pairs.append(("date", f"{prefix}{instant(moment)}"))
        events = await everything(self._engine, call, "AuditEvent", pairs, MOST_EVENTS)
        confirmed.events += len(events)
        for event in events:
            patients, resources = touched_in(event.resource)
            confirmed.add(patients, resources)

    async def _possible(self, now: datetime, principal: Principal, possible: Touched) -> None:
        rights, looked = rights_of(principal), 0
        for type in sorted(set(served_types()) - _NOT_RECORDS):
            if rights.on("r", type) is None and rights.on("s", type) is None:
                continue
            call = Call(Interaction.SEARCH_TYPE, principal, now, type, purpose=rights.purpose)
            try:
                query = await self._engine.searching.narrowed(call, Query(type))
            except ForbiddenError:
                continue
            looked = await self._found(call, query, possible, looked)

    async def _found(self, call: Call, query: Query, possible: Touched, looked: int) -> int:
        after = None
        while True:
            found = await self._engine.store.find(query, after, _AT_ONCE)
            looked += found.looked
            if looked > MOST_RESOURCES:
                raise TooCostlyError(f"More than {MOST_RESOURCES} resources lie within reach.")
            for stored in found.matches:
                # One list is of one patient to some roles: what was lost could ask for one patient after the other.
                one = replace(call, trace=replace(call.trace, within=None))
                if await shown(self._engine.steps, one, stored) is not None:
                    patients = [
                        place.removeprefix("Patient/") for place in stored.access if place.startswith("Patient/")
                    ]
                    possible.add(patients, [str(stored.key)])
            after = found.position
            if after is None:
                return looked

    async def _under_keys_of(self, reference: str, possible: Touched) -> None:
        patient = reference.removeprefix("Patient/")
        held = await self._holdings.of(patient)
        possible.add([patient], [str(one.stored.key) for one in held if not one.stored.deleted])

    async def _everybody(self, possible: Touched) -> None:
        """Without looking into anything: who is there."""
        after = None
        while True:
            found = await self._engine.store.find(Query("Patient"), after, _AT_ONCE)
            for stored in found.matches:
                possible.add([stored.key.id], [str(stored.key)])
            if len(possible.resources) > MOST_RESOURCES:
                raise TooCostlyError(f"More than {MOST_RESOURCES} patients lie within reach.")
            after = found.position
            if after is None:
                return


def touched_in(event: Json) -> tuple[set[str], set[str]]:
    """The patients and the resources that an event of the log names."""
    patients, resources = set[str](), set[str]()
    for entity in event.get("entity", []):
        key = parse_reference(str(entity.get("what", {}).get("reference", "")))
        if key is not None:
            (patients if key.type == "Patient" else resources).add(key.id if key.type == "Patient" else str(key))
    return patients, resources or {f"Patient/{patient}" for patient in patients}


def _of_database(*, dump: bool, root: bool) -> str:
    if dump and root:
        return "a copy of the database and the root key: everything of everybody"
    if dump:
        return "a copy of the database without the root key: sealed, but that somebody is a patient shows by pseudonym"
    return "the root key without a copy of the database: nothing, until one is taken"


def numbers(scope: Scope) -> Mapping[str, int]:
    """The approximate numbers of Art. 33(3)(a)."""
    return {
        "patients-confirmed": len(scope.confirmed.resources),
        "records-confirmed": scope.confirmed.records,
        "patients-possible": len(scope.possible.resources | scope.confirmed.resources),
        "records-possible": len(set().union(*scope.possible.resources.values(), *scope.confirmed.resources.values())),
    }
