"""`Patient/[id]/$access-log`: who looked at or changed what of a patient's record, when and why, for that patient.

EHDS Article 9 (R-EHDS-006), row S116; conformance section 14, 11: a view of its own, and not the log's scope. It never
shows what somebody searched for, nor where they sat, nor any token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_server.audit.balp import USER_AGENTS
from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.fhir.subset import elements_of
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse

_READER = Principal("fhir-server", "fhir-server", "", "", scopes=("system/AuditEvent.rs",), name="fhir-server")
_TAKEN = frozenset({"date", "_count"})
_SHOWN = frozenset({"type", "subtype", "action", "recorded", "outcome", "purposeOfEvent"})
_OF_AGENT = ("type", "role", "who", "name", "requestor", "purposeOfUse")
_OF_ENTITY = ("what", "type", "role")
_OF_DETAIL = frozenset({"data-category", "data-origin"})

Pairs = Sequence[tuple[str, str]]


class AccessLog:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def page(self, call: Call, pairs: Pairs, after: Position | None) -> Page:
        """Newest first. `pairs` bound the time (`date`) and the length of the page (`_count`).

        For the patient, and for who may search the log.
        """
        if unknown := {name for name, _ in pairs} - _TAKEN:
            raise InvalidRequestError(f"$access-log takes {', '.join(sorted(_TAKEN))}, and not {unknown.pop()!r}.")
        reading = replace(call, interaction=Interaction.READ, operation=None)
        searching = replace(call, interaction=Interaction.SEARCH_TYPE, operation=None, type="AuditEvent", id=None)
        query = parse(
            "AuditEvent", [("patient", f"Patient/{call.id}"), ("_sort", "-_lastUpdated"), *pairs], self._engine.language
        )

        async def once(attempt: Attempt) -> Page:
            await self._engine.steps.admit(reading)
            attempt.disclosed.append(await self._engine.look(reading))
            if not is_own(call):
                await self._engine.steps.admit(searching)
            asked = replace(searching, principal=_READER)
            page = await self._engine.searching.answer(asked, (query,), after)
            return replace(page, matches=tuple(one.showing(shown(one.resource)) for one in page.matches))

        return await disclosing(self._engine.steps, call, once)


def shown(event: Json) -> Json:
    """What a patient is shown of an event, marked as a part of it."""
    kept = {name: value for name, value in elements_of(event, _SHOWN).items() if name != "entity"}
    kept["agent"] = [
        {name: agent[name] for name in _OF_AGENT if name in agent} for agent in event["agent"] if not _is_token(agent)
    ]
    kept["source"] = {"observer": event["source"]["observer"]}
    entities = list(_entities(event.get("entity", [])))
    return {**kept, "entity": entities} if entities else kept


def _entities(entities: Sequence[Json]) -> Iterator[Json]:
    """What was touched, by reference; of the patient's own, of which category it was and from where."""
    for entity in entities:
        if parse_reference(entity.get("what", {}).get("reference", "").partition("/_history/")[0]) is None:
            continue
        told = [one for one in entity.get("detail", []) if one.get("type") in _OF_DETAIL]
        yield {**{name: entity[name] for name in _OF_ENTITY if name in entity}, **({"detail": told} if told else {})}


def _is_token(agent: Json) -> bool:
    codings = agent.get("type", {}).get("coding", [])
    return any((one.get("system"), one.get("code")) == (USER_AGENTS, "UserOauthAgent") for one in codings)


def is_own(call: Call) -> bool:
    """The patient, or whoever signed in for them: not a clinician whose app has a patient in context."""
    who = parse_reference(call.principal.fhir_user or "")
    return who is not None and who.type in {"Patient", "RelatedPerson"} and call.principal.patient == call.id
