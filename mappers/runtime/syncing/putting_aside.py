"""What could not be kept in step: a Task with the reason, and where it is; nothing of what it holds is copied."""

from collections.abc import Sequence
from dataclasses import dataclass

from mappers.fhir_sync.authority import Side
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.mapping.message import Message
from mappers.runtime.clock import Clock
from mappers.runtime.delivery import Outcome, received
from mappers.runtime.faults import OvertakenError
from mappers.runtime.looking_after import LookingAfter
from mappers.runtime.records import Records, replaced
from mappers.runtime.server import Server


@dataclass(frozen=True, slots=True)
class Aside:
    """A task, and the resource that it is about."""

    task: Json
    side: Side
    reference: str

    @property
    def waits(self) -> bool:
        return bool(self.task["status"] == "on-hold")


@dataclass(frozen=True, slots=True)
class PuttingAside:
    server: Server
    records: Records
    clock: Clock

    async def put(self, side: Side, reference: str, version: str, why: str, outcome: Outcome) -> None:
        """Once for each version of it."""
        now = self.clock()
        message = Message(encode({"side": side.value, "reference": reference}), now)
        id = self.records.message_id(f"{side.value}|{reference}|{version}")
        code, status = ("waiting", "on-hold") if outcome is Outcome.WAITING else ("dead-letter", "failed")
        entries = [
            self.records.raw(id, message, message.raw, "application/json", (), None),
            self.records.task(id, code, status, why, now),
        ]
        try:
            await self.server.write(entries)
        except OvertakenError:
            return

    async def open(self) -> Sequence[Aside]:
        tasks = await LookingAfter(self.server).put_aside(self.records.source)
        raws = await self.server.read([task["focus"]["reference"] for task in tasks])
        return [_aside(task, raw) for task, raw in zip(tasks, raws, strict=True) if raw is not None]

    async def end(self, aside: Aside) -> None:
        ended = {**aside.task, "status": "completed", "statusReason": {"text": "It was taken in the end."}}
        await self.server.write([replaced(ended)])


def _aside(task: Json, raw: Json) -> Aside:
    said = decode_object(received(raw).raw)
    return Aside(task, Side(said["side"]), said["reference"])
