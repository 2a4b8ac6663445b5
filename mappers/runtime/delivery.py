"""One message, from its arrival to what stands in the server: known already, mapped, written, or put aside.

A message is answered when this is done and not before. What it changes, its raw text, its loss report and its mark as
seen are one transaction. What cannot be mapped is a dead letter, what comes too early waits; neither stops the next.
"""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message, Tables
from mappers.mapping.provenance import CONNECTOR
from mappers.mapping.result import Mapping
from mappers.runtime.claims import claims_of, makes_patient, patient_claims, waiting, with_claims
from mappers.runtime.clock import Clock
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError
from mappers.runtime.followers import Followers
from mappers.runtime.identity import with_candidates
from mappers.runtime.plan import Lack, Plan, bearers, claim_ids, patients_to_know, person, plan, to_keep
from mappers.runtime.records import Records, replaced
from mappers.runtime.server import Server
from mappers.runtime.turns import Turns

Read = Callable[[Message, Tables], Mapping]
Keep = Callable[[bytes], bytes]

_MOST_LOOKS = 8
_PAUSE = 0.02
_SMALL = 16 * 1024
"""Bytes of a message that shares a request with others."""


class Outcome(Enum):
    WRITTEN = "written"
    NOTHING_NEW = "nothing new"
    DUPLICATE = "duplicate"
    WAITING = "waiting"
    DEAD = "dead letter"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Source:
    """One connection of the clinic's. `keep`: what of a raw message is kept, with photographs taken out."""

    name: str
    read: Read
    tables: Tables
    type: str = "application/json"
    keep: Keep = bytes


@dataclass(slots=True)
class Delivery:
    server: Server
    source: Source
    records: Records
    clock: Clock
    counts: dict[Outcome, int] = field(default_factory=dict)
    followers: Followers = field(init=False, repr=False)
    turns: Turns = field(default_factory=Turns, init=False, repr=False)

    def __post_init__(self) -> None:
        self.followers = Followers(self.server)

    async def deliver(self, message: Message, beside: Sequence[Json] = (), mapping: Mapping | None = None) -> Outcome:
        """NotNowError where the server cannot be asked. `beside`: entries that belong to the same commit.

        `mapping`: what comes of the message, where that was found out already.
        """
        outcome = await self._delivered(message, beside, mapping)
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        return outcome

    def mapping(self, message: Message) -> Mapping:
        """A mapper that fails is a message that cannot be mapped: the next one is not to wait behind it."""
        try:
            return self.source.read(message, self.source.tables)
        except UnusableError:
            raise
        except Exception as error:
            raise UnusableError(f"The mapper fails on it ({type(error).__name__}).") from error

    async def again(self, task: Json, raw: Json, message: Message) -> Outcome:
        """A message that was put aside: written together with the end of its task."""
        try:
            mapping = self.mapping(message)
            ended = replaced({**task, "status": "completed", "statusReason": {"text": "It was taken in the end."}})
            outcome, _ = await self._written(mapping, message, lambda _: [ended], str(raw["id"]), is_new=False)
        except (UnusableError, RejectedError):
            return Outcome.DEAD
        return outcome

    async def _delivered(self, message: Message, beside: Sequence[Json], mapping: Mapping | None) -> Outcome:
        try:
            mapping = mapping or self.mapping(message)
        except UnusableError as error:
            return await self._put_aside(message, message.sha256, str(error), beside)
        id = self.records.message_id(mapping.key)
        kept = self.source.keep(message.raw)

        def records(planned: Plan) -> list[Json]:
            return [
                self.records.raw(id, message, kept, self.source.type, mapping.losses, planned.about),
                *beside,
            ]

        try:
            async with self.turns.of({id, *self._claims(mapping)}):
                # Most messages are new, and the record is only made once: a photograph alone is not sent to find out.
                outcome, woken = await self._written(mapping, message, records, id, is_new=kept == message.raw)
        except RejectedError as error:
            if kept != message.raw:
                # Its photograph was not taken, and must not lie about: who sent it keeps it.
                return Outcome.REFUSED
            return await self._put_aside(message, mapping.key, str(error), beside)
        except UnusableError as error:
            return await self._put_aside(message, mapping.key, str(error), beside)
        await self._go_on(woken)
        return outcome

    def _claims(self, mapping: Mapping) -> list[str]:
        """Ids of the rows that stand for what a message is about."""
        about = (one for entry in to_keep(mapping) for one in claim_ids(entry["resource"], self.records))
        return list(dict.fromkeys((*about, *patient_claims(patients_to_know(mapping), self.records))))

    async def _written(
        self,
        mapping: Mapping,
        message: Message,
        records: Callable[[Plan], list[Json]],
        id: str,
        *,
        is_new: bool,
    ) -> tuple[Outcome, Sequence[str]]:
        """And the claims that others waited for. `is_new`: taken to be, until the server or what is missing says other.

        A claim that was there before the look, of what is not found, was of something that is not here any more.
        """
        is_first = any(entry["resource"].get("id") == id for entry in records(Plan()))
        taken: frozenset[str] = frozenset()
        kept, claims, people = to_keep(mapping), self._claims(mapping), patients_to_know(mapping)
        marks = [f"DocumentReference/{id}", *(f"Basic/{one}" for one in claims)]
        who = [] if mapping.continues else people
        for look in range(_MOST_LOOKS):
            asked = [*(person(one["resource"]) for one in who), *(bearers(one["resource"]) for one in kept)]
            answers = await self.server.read([*asked, *(() if is_new else marks)])
            known = _known(who, [answers.pop(0) for _ in who])
            found = [[one["resource"] for one in (answers.pop(0) or {}).get("entry", ())] for _ in kept]
            seen, *there = answers or [None for _ in marks]
            if seen is not None and is_first:
                return Outcome.DUPLICATE, ()
            planned = plan(mapping, found, taken, self.records, known)
            if len(who) < len(people) and any(map(makes_patient, planned.entries)):
                who = people  # it names somebody who is not named there: that may be somebody who is here
                continue
            claimed = claims_of(claims, there)
            taken = claimed.taken
            try:
                if planned.lack is Lack.NOT_THERE and not is_new:
                    if is_first:
                        rows = waiting(planned.waits_for, self.records, claimed)
                        await self._keep(message, id, "waiting", planned.lack.value, rows, planned.waits_for)
                    return Outcome.WAITING, ()
                if planned.lack is None:
                    asking = await with_candidates(self.server, planned.entries)
                    entries = with_claims(asking, self.records, claimed, is_new=is_new)
                    write = self.server.write_along if is_new and len(message.raw) <= _SMALL else self.server.write
                    await write([*entries, *records(planned)])
                    return Outcome.WRITTEN if entries else Outcome.NOTHING_NEW, claimed.woken(entries)
                if planned.lack is not Lack.NOT_THERE:
                    raise UnusableError(planned.lack.value)
            except OvertakenError:
                await asyncio.sleep(_PAUSE * (2**look - 1))
            is_new = False
        raise NotNowError("Others kept writing what this message changes.")

    async def _put_aside(self, message: Message, key: str, why: str, beside: Sequence[Json]) -> Outcome:
        """Kept with the reason; the same message again is known."""
        try:
            await self._keep(message, self.records.message_id(key), "dead-letter", why, beside)
        except OvertakenError:
            return Outcome.DUPLICATE
        return Outcome.DEAD

    async def _keep(
        self, message: Message, id: str, code: str, why: str, beside: Sequence[Json], waits_for: Sequence[str] = ()
    ) -> None:
        kept = self.source.keep(message.raw)
        status = "on-hold" if code == "waiting" else "failed"
        raw = self.records.raw(id, message, kept, self.source.type, (), None)
        task = self.records.task(id, code, status, why, self.clock(), waits_for)
        await self.server.write([raw, task, *beside])

    async def _go_on(self, claimed: Sequence[str]) -> None:
        """What waited for something that is there now. Its own failure is not the failure of what was written."""
        try:
            for task in await self.followers.of(claimed):
                [raw] = await self.server.read([task["focus"]["reference"]])
                if raw is not None and is_of(task, self.source.name):
                    await self.again(task, raw, received(raw))
        except (NotNowError, RejectedError, OvertakenError):
            return


def _known(people: Sequence[Json], answers: Sequence[Json | None]) -> dict[str, str]:
    """FullUrl -> the one who has that identifier. Several are for the server to refuse."""
    found = ((one["fullUrl"], (answer or {}).get("entry", ())) for one, answer in zip(people, answers, strict=True))
    return {url: f"Patient/{entries[0]['resource']['id']}" for url, entries in found if len(entries) == 1}


def is_of(task: Json, source: str) -> bool:
    return any(one["system"] == CONNECTOR and one["value"] == source for one in task["identifier"])


def received(raw: Json) -> Message:
    """The message as it was kept."""
    return Message(b64decode(raw["content"][0]["attachment"]["data"]), datetime.fromisoformat(raw["date"]))
