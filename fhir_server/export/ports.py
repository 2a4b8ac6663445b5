"""What exports need from the outside: jobs that outlive a process, and the lists that are their files.

Architecture section 2: fhir_server.store implements it on MongoDB, tests/fakes in memory.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fhir_server.export.job import Job, Line


class Jobs(Protocol):
    async def add(self, job: Job, due: datetime) -> None:
        """Kept, and its task queued, due then."""
        ...

    async def get(self, id: str) -> Job | None: ...

    async def save(self, job: Job) -> Job | None:
        """With its revision raised; None where another worker was faster, or the job is gone."""
        ...

    async def again(self, job: Job, due: datetime) -> None:
        """Queue another task for it."""
        ...

    async def remove(self, job: Job) -> bool:
        """With its files. False where it was gone."""
        ...

    async def running(self, client: str) -> int:
        """How many jobs of this client are active."""
        ...

    async def write(self, job: Job, file: str, lines: Sequence[Line]) -> None:
        """A file of a job, gone with it."""
        ...

    async def lines(self, file: str) -> Sequence[Line] | None:
        """None where it is gone."""
        ...
