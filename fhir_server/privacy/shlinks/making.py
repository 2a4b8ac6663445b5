"""`Patient/[id]/$health-link`: a link to an encrypted copy, made, ended, and swept when it is over.

GDPR Art. 20; https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fhir_server.crypto.jwe import encrypt_jwe
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.classification import HEALTH_LINK, RECEIPT_SYSTEM
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Heads
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.export.summaries import Summaries
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import NotFoundError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.media.ports import Versions
from fhir_server.privacy.shlinks.link import FILE_TYPE, Kept, address, document, encoded, is_ours, is_over, patient_of
from fhir_server.search.parse import parse

_KEY_BYTES = 32
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Asked:
    passcode: str
    label: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """`link` is told once: nobody can make it again."""

    link: str
    document: ResourceKey
    expires: datetime


@dataclass(frozen=True, slots=True)
class Ground:
    """`root` is the server's external address, `key` that of digests of passcodes; `server` acts for its duties."""

    root: str
    key: bytes
    server: Principal
    new_id: NewId
    new_bytes: Callable[[int], bytes]
    clock: Clock


class HealthLinks:
    def __init__(self, engine: Engine, heads: Heads, summaries: Summaries, versions: Versions, ground: Ground) -> None:
        self._engine, self._heads, self._summaries, self._versions = engine, heads, summaries, versions
        self._ground = ground

    async def make(self, call: Call, asked: Asked) -> Made:
        """The patient's summary, as the caller sees it now. Raises NotFoundError where they see no such patient."""
        ground, patient = self._ground, str(call.id)
        # Before anything is gathered: what is withdrawn from then on ends the link.
        head = (await self._heads.heads([patient])).get(patient)
        epoch = head.epoch if head else 0
        content = json.encode(await self._summaries.of(call))
        key, secret = ground.new_bytes(_KEY_BYTES), encoded(ground.new_bytes(_KEY_BYTES))
        sealed = encrypt_jwe(content, key, FILE_TYPE)
        kept = Kept(patient, sealed, secret, asked.passcode, asked.label, epoch, call.instant, asked.expires)
        id = ground.new_id()
        creating = replace(self._by_server(call, Interaction.CREATE), id=None)
        async with self._engine.attempt(creating) as attempt:
            change = await self._engine.drafts.create(creating, document(kept, ground.key), id)
            stored = await self._engine.commit_one(attempt, change)
        return Made(address(f"{ground.root}/shl/{id}/{secret}", key, kept), stored.key, asked.expires)

    async def end(self, call: Call, key: ResourceKey) -> None:
        """Raises NotFoundError where it is no link of this patient's."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            attempt.disclosed.append(await self._engine.look(call))
            stored = await self._engine.store.read(key)
            if stored is None or not is_ours(stored) or patient_of(stored.resource) != call.key:
                raise NotFoundError("There is no such link, or not any more.")
        await self._end(call, key)

    async def sweep(self) -> int:
        """A chore: what is over is deleted, every version of it. How many?"""
        pairs = (("type", f"{RECEIPT_SYSTEM}|{HEALTH_LINK}"), ("status", "current"))
        query, ended = parse("DocumentReference", pairs, self._engine.language), 0
        after: Position | None = None
        while True:
            found = await self._engine.store.find(query, after, _AT_ONCE)
            for stored in await self._over(found.matches):
                now = self._ground.clock.now()
                await self._end(Call(Interaction.DELETE, self._ground.server, now, "DocumentReference"), stored.key)
                ended += 1
            after = found.position
            if after is None:
                return ended

    async def _over(self, found: Sequence[Stored]) -> list[Stored]:
        ours = [one for one in found if is_ours(one)]
        heads = await self._heads.heads({patient_of(one.resource).id for one in ours}) if ours else {}
        epochs = {id: head.epoch for id, head in heads.items()}
        now = self._ground.clock.now()
        return [one for one in ours if is_over(one.resource, epochs.get(patient_of(one.resource).id, 0), now)]

    async def _end(self, call: Call, key: ResourceKey) -> None:
        deleting = replace(self._by_server(call, Interaction.DELETE), id=key.id)
        await self._engine.delete(deleting)
        await self._versions.purge(key)

    def _by_server(self, call: Call, interaction: Interaction) -> Call:
        from_server = replace(call, interaction=interaction, principal=self._ground.server, operation=None)
        return replace(from_server, type="DocumentReference")
