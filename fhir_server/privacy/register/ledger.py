"""The register as it stands: what the clinic wrote, what came with the server, and what the server fills in itself.

GDPR Art. 30; rows S24 to S34: recipients come from clients and subscriptions, measures from the configuration.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.privacy.premises import Premises, Recipient
from fhir_server.privacy.reading import everything
from fhir_server.privacy.register.entries import ACTIVITY, SYSTEM, Entry, entry_of
from fhir_server.privacy.retention import Pack


class Ledger:
    def __init__(self, engine: Engine, premises: Premises, pack: Pack) -> None:
        self._engine, self._premises, self._pack = engine, premises, pack

    async def entries(self, call: Call) -> tuple[Entry, ...]:
        """Of every kind; as the caller may see them."""
        stored = await everything(self._engine, call, "Basic", [("code", f"{SYSTEM}|")])
        written = [entry_of(one.key.id, one.resource) for one in stored]
        known = {entry.id for entry in written}
        waiting = [entry for entry in shipped(self._pack) if entry.id not in known]
        recipients = await self._premises.recipients()
        measures = [one.says for one in await self._premises.measures()]
        return tuple(
            _filled(entry, recipients, measures) if entry.kind == ACTIVITY else entry for entry in (*written, *waiting)
        )


def shipped(pack: Pack) -> tuple[Entry, ...]:
    """The activities that every clinic has, with the rules of its jurisdiction."""
    return tuple(_shipped(id, told, pack) for id, told in _activities().items())


@cache
def _activities() -> Mapping[str, Mapping[str, Any]]:
    text = files("fhir_server.privacy.register").joinpath("activities.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _shipped(id: str, told: Mapping[str, Any], pack: Pack) -> Entry:
    keeps = told.get("keeps", ())
    rules = tuple(rule.id for rule in pack.rules if rule.record in keeps)
    values = {
        "title": (told["title"],),
        "role": ("controller",),
        "purpose": (told["purpose"],),
        "data-category": tuple(told["data-category"]),
        "subject-category": tuple(told["subject-category"]),
        "retention": rules,
        "retention-note": tuple(told.get("retention-note", ())),
    }
    return Entry(id, ACTIVITY, {name: said for name, said in values.items() if said}, confirmed=False)


def _filled(entry: Entry, recipients: Sequence[Recipient], measures: Sequence[str]) -> Entry:
    """An activity that the clinic added itself names its recipients itself: nobody knows what types it is about."""
    types = frozenset(_activities().get(entry.id, {}).get("types", ()))
    reached = [one.name for one in recipients if types & one.types or (types and "*" in one.types)]
    return entry.with_more("recipient", reached).with_more("measure", measures)
