"""Is an operation on photos open to its caller at all? Recorded where it is not, and where it fails before it writes.

Architecture section 2, phase `admit`. What it reads and writes is decided on and recorded by itself.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.errors import FhirError


@asynccontextmanager
async def admitted(engine: Engine, call: Call) -> AsyncIterator[None]:
    """Raises what refuses the operation, and what is raised inside."""
    try:
        await engine.steps.admit(call)
        yield
    except FhirError as failure:
        await engine.refused(call, failure)
        raise
