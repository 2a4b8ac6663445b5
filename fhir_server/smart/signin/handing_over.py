"""What somebody has in hand goes to somebody else: memberships of care teams, and tasks that are not finished.

https://hl7.org/fhir/R4/careteam.html, https://hl7.org/fhir/R4/task.html. Through the engine, so each change is checked
and recorded like any other; earlier versions keep who it was before.
"""

from collections.abc import Callable

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.smart.signin.leaving import HandedOver

_OVER = frozenset({"completed", "cancelled", "rejected", "failed", "entered-in-error"})
_PAGE = ("_count", "100")


class EngineHandOver:
    """`actor` is who the log says did it."""

    def __init__(self, engine: Engine, actor: Principal, clock: Clock) -> None:
        self._engine, self._actor, self._clock = engine, actor, clock

    async def hand_over(self, from_: str, to: str) -> HandedOver:
        """A fault leaves the rest with whoever had it; done again, only that is looked at."""
        teams = await self._all("CareTeam", "participant", from_, lambda team: _with_member(team, from_, to))
        tasks = await self._all("Task", "owner", from_, lambda task: _owned_by(task, from_, to))
        return HandedOver(teams, tasks)

    async def _all(self, type: str, parameter: str, from_: str, edit: Callable[[Json], Json | None]) -> int:
        """The matches are found before any is changed: a changed one leaves the search."""
        query = parse(type, [(parameter, from_), _PAGE], self._engine.language)
        found: list[Stored] = []
        after: Position | None = None
        while True:
            page = await self._engine.search(self._call(Interaction.SEARCH_TYPE, type), query, after)
            found += page.matches
            after = page.next
            if after is None:
                break
        changing = [stored for stored in found if edit(stored.resource) is not None]
        for stored in changing:
            await self._engine.amend(self._call(Interaction.PATCH, type, stored.key.id), edit)
        return len(changing)

    def _call(self, interaction: Interaction, type: str, id: str | None = None) -> Call:
        return Call(interaction, self._actor, self._clock.now(), type, id)


def _with_member(team: Json, from_: str, to: str) -> Json | None:
    """Each of the leaver's memberships is the other's, in the same role; who is there already is not there twice."""
    members: list[Json] = []
    changed = False
    for member in team.get("participant", []):
        if _reference(member.get("member")) != from_:
            members.append(member)
            continue
        changed = True
        taken = {**member, "member": {"reference": to}}
        if not any(_same_place(one, taken) for one in team["participant"]):
            members.append(taken)
    return {**team, "participant": members} if changed else None


def _same_place(one: Json, other: Json) -> bool:
    return _reference(one.get("member")) == _reference(other["member"]) and one.get("role") == other.get("role")


def _owned_by(task: Json, from_: str, to: str) -> Json | None:
    if task.get("status") in _OVER or _reference(task.get("owner")) != from_:
        return None
    return {**task, "owner": {"reference": to}}


def _reference(value: Json | None) -> str | None:
    return value.get("reference") if value else None
