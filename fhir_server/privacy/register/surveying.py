"""Gathers what the compliance report rests on, live, as its reader may see it; for administrators by the server.

Row S6. An administrator sees no patient and no breach's details: the report tells them states and references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.classification import DRILL, RECEIPT_SYSTEM
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.json import Json
from fhir_server.privacy.authorities import Authority
from fhir_server.privacy.breaches.record import BREACH, Breach, breach_of
from fhir_server.privacy.contact import privacy_contact
from fhir_server.privacy.premises import Premises
from fhir_server.privacy.reading import everything
from fhir_server.privacy.register.compliance import Drill, Duty, Facts, duties
from fhir_server.privacy.register.entries import HOSTING, SUPPLIER
from fhir_server.privacy.register.ledger import Ledger
from fhir_server.privacy.register.registrations import registrations
from fhir_server.privacy.retention import Pack
from fhir_server.professions.body import Bodies
from fhir_server.search.parse import parse
from fhir_server.smart.tie_sources import TASK_SYSTEM

_SAME = "was restored without a difference"
_OPEN = "draft,requested,received,accepted,ready,in-progress,on-hold"
_NOT_RIGHTS = frozenset(
    {BREACH, "legal-hold", "complaint-review", "break-glass-review", "review-due", "unusual-access"}
)


@dataclass(frozen=True, slots=True)
class Law:
    """What the jurisdiction says, of which clinic. `region`: where it declares to run; empty where it does not."""

    clinic: str
    region: str
    pack: Pack
    authority: Authority
    eu_provider_required: bool = False
    bodies: Bodies = field(default_factory=dict)


class Surveying:
    """`server` is who looks: what is told is states, counts and references, nothing of a patient."""

    def __init__(self, engine: Engine, ledger: Ledger, premises: Premises, law: Law, server: Principal) -> None:
        self._engine, self._ledger, self._premises, self._law, self._server = engine, ledger, premises, law, server
        self.clinic = law.clinic

    async def report(self, call: Call) -> tuple[Duty, ...]:
        """`$compliance-report`."""

        async def once(attempt: Attempt) -> tuple[Duty, ...]:
            await self._engine.steps.admit(call)
            return await self.survey(call.instant)

        return await disclosing(self._engine.steps, call, once)

    async def published(self, now: datetime) -> Json:
        """What anybody may know: certificates of hosting, suppliers under law from outside the EEA (HDS 28 to 31)."""
        entries = await self._ledger.entries(Call(Interaction.SEARCH_TYPE, self._server, now))
        hosting = [
            {
                "title": one.one("title"),
                "certificate": one.one("certificate"),
                "activities": list(one.values["activities"]),
                "expires": one.one("expires"),
            }
            for one in entries
            if one.kind == HOSTING
        ]
        exposure = [
            {name: one.one(name) for name in ("title", "service", "country", "safeguard")}
            for one in entries
            if one.kind == SUPPLIER and one.says("non-eea-control")
        ]
        return {"region": self._law.region, "hosting": hosting, "exposure": exposure}

    async def survey(self, now: datetime) -> tuple[Duty, ...]:
        looking = Call(Interaction.SEARCH_TYPE, self._server, now)
        breaches = await everything(self._engine, looking, "Task", [("code", f"{TASK_SYSTEM}|{BREACH}")])
        requests = await everything(self._engine, looking, "Task", [("code", f"{TASK_SYSTEM}|"), ("status", _OPEN)])
        staff = [
            (str(one.key), one.resource)
            for one in await everything(self._engine, looking, "Practitioner")
            if one.resource.get("active") is not False
        ]
        found = duties(
            Facts(
                now,
                await self._ledger.entries(looking),
                await privacy_contact(self._engine, looking),
                breaches_in(breaches),
                overdue(requests, now),
                await self._drill(looking),
                (await self._premises.log()).assurance,
                await self._premises.measures(),
                await self._patients(looking),
                [f"{rule.id}: {rule.years} years" for rule in self._law.pack.rules if rule.years],
                self._law.authority,
                self._law.eu_provider_required,
            )
        )
        return (*found, *registrations(self._law.bodies, staff, now))

    async def _drill(self, call: Call) -> Drill | None:
        found = await everything(self._engine, call, "DocumentReference", [("type", f"{RECEIPT_SYSTEM}|{DRILL}")])
        if not found:
            return None
        newest = max(found, key=lambda stored: stored.seq)
        says = str(newest.resource.get("description", ""))
        return Drill(newest.last_updated, _SAME in says, says)

    async def _patients(self, call: Call) -> int:
        """As many as are looked through for an exact total; beyond that the hint needs no exact number."""
        query = parse("Patient", [("_count", "200")], self._engine.language)
        count, after = 0, None
        while count < _ENOUGH:
            page = await self._engine.searching.answer(replace(call, type="Patient"), (query,), after)
            count += len(page.matches)
            after = page.next
            if after is None:
                break
        return count


_ENOUGH = 5_000


def breaches_in(tasks: Sequence[Stored]) -> list[tuple[str, Breach]]:
    return [(str(one.key), breach_of(one.resource)) for one in tasks]


def overdue(tasks: Sequence[Stored], now: datetime) -> list[str]:
    """Rights requests whose legal period is over."""
    return [str(one.key) for one in tasks if code_of(one.resource) not in _NOT_RIGHTS and _is_over(one.resource, now)]


def code_of(task: Json) -> str:
    codings = task.get("code", {}).get("coding", [])
    return next((str(one.get("code", "")) for one in codings if one.get("system") == TASK_SYSTEM), "")


def _is_over(task: Json, now: datetime) -> bool:
    end = str(task.get("restriction", {}).get("period", {}).get("end", ""))
    return bool(end) and end[:10] < now.date().isoformat()
