"""What `$merge` and `$unmerge` have in common: what is asked, what came of it, and how an attempt goes.

It is drawn up again while somebody else is faster; a dry run is recorded as a look at both records; what is left to do
after the commit is done at once, or else by the worker.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from fhir_server.crypto.errors import CryptoError
from fhir_server.engine.call import Call
from fhir_server.engine.courtesy import OVERTAKEN
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.conflicts import require_two
from fhir_server.privacy.merging.finishing import Finishing, finish
from fhir_server.privacy.merging.record import Pair


@dataclass(frozen=True, slots=True)
class Asked:
    """`result`: what the record that stays is to say of the person; without it, what it says."""

    pair: Pair
    result: Json | None = None
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result`: the Patient that stays, as the caller sees it. `moved`: what moves, `ended`: permissions that end.

    `stayed`: what was written since and is not given back. `record` is the Provenance; None for a dry run.
    """

    result: Stored
    moved: tuple[ResourceKey, ...]
    ended: tuple[ResourceKey, ...] = ()
    stayed: tuple[ResourceKey, ...] = ()
    record: ResourceKey | None = None


Once = Callable[[Call, Asked], Awaitable[Outcome]]


class Attempting:
    def __init__(self, engine: Engine, both: Both, finishing: Finishing) -> None:
        self._engine, self._both, self._finishing = engine, both, finishing

    async def outcome(self, call: Call, asked: Asked, once: Once) -> Outcome:
        """Raises UnprocessableError where both are one record, and whatever `once` does."""
        require_two(asked.pair.source, asked.pair.target)
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)

            async def afresh() -> Outcome:
                call.trace.forget()
                return await once(call, asked)

            names = [str(key) for key in asked.pair.keys]
            outcome = await self._engine.courtesy.insist(names, afresh, again_on=OVERTAKEN)
            attempt.committed = not asked.preview
            if asked.preview:
                attempt.disclosed.extend(await self._both.seen(call, asked.pair))
        if outcome.record is None:
            return outcome
        with suppress(FhirError, CryptoError):  # where it fails, the worker does it
            await self._finishing(finish(asked.pair, outcome.record))
        return replace(outcome, result=await self._engine.look(replace(call, id=asked.pair.target)))
