"""Whatever happens to a call is concluded, which records it; and what went stale in between is tried again.

Architecture section 2, phase `conclude`: what happened? also on failure.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from fhir_server.engine.call import Call
from fhir_server.engine.courtesy import Courtesy
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ContendedError, EndedTokenError, FhirError, StaleBasisError, StaleVersionError

_MOST_TRIES = 5
"""How often what is shown is decided again because its basis went stale."""

T = TypeVar("T")


@dataclass(slots=True)
class Attempt:
    """What an interaction has to say when it ends: what it disclosed, whether it committed (and so recorded itself)."""

    disclosed: list[Stored] = field(default_factory=list)
    committed: bool = False


@asynccontextmanager
async def attempted(steps: Step, call: Call) -> AsyncIterator[Attempt]:
    """A failure inside is recorded and goes on; success is recorded before the answer leaves.

    Raises StaleBasisError at its end when what was disclosed rested on something that has changed: nothing of it may
    leave, and nothing was recorded.
    """
    attempt = Attempt()
    try:
        yield attempt
    except Exception as error:
        await concluded(steps, call, Result(failure=_told(error)))
        raise
    await concluded(steps, call, Result(tuple(attempt.disclosed), attempt.committed))


async def concluded(steps: Step, call: Call, result: Result) -> None:
    """Record how a call ended. One whose grant ended in between is refused, whatever it was about to be told."""
    try:
        await steps.conclude(call, result)
    except EndedTokenError as ended:
        await steps.conclude(call, Result(failure=ended))
        raise


async def disclosing(steps: Step, call: Call, once: Callable[[Attempt], Awaitable[T]]) -> T:
    """An interaction that only shows: decided again from the start while a basis goes stale under it."""
    stale: StaleBasisError | None = None
    call.trace.remembering = True
    for _ in range(_MOST_TRIES):
        try:
            async with attempted(steps, call) as attempt:
                return await once(attempt)
        except StaleBasisError as error:
            call.trace.forget()
            stale = error
    assert stale is not None
    await concluded(steps, call, Result(failure=stale))
    raise stale


async def writing(
    steps: Step, courtesy: Courtesy, call: Call, once: Callable[[Attempt], Awaitable[T]], *, again: bool = True
) -> T:
    """An interaction that writes: drawn up again while somebody else is faster, unless the client named a version."""
    async with attempted(steps, call) as attempt:

        async def afresh() -> T:
            call.trace.forget()
            return await once(attempt)

        stale = (StaleBasisError, ContendedError, *((StaleVersionError,) if again else ()))
        return await courtesy.insist([str(call.key)] if call.id else [], afresh, again_on=stale)


def _told(error: Exception) -> FhirError:
    """An unexpected fault is recorded as one; what it says stays unsaid, it may quote a resource."""
    return error if isinstance(error, FhirError) else FhirError("An unexpected fault.")
