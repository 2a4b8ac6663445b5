"""Bulk exports on MongoDB: each job sealed in a row of its own, each file a sealed list of versions.

R-BULK-026, -027. Nothing of a resource is copied, so nothing is left behind when a job ends. Rows go by themselves when
the job expires; expiry is checked by who reads them.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keys import DataKey
from fhir_server.engine.tasks import Task
from fhir_server.export.job import RUN_EXPORT, Job, Line, decode_lines, encode_lines
from fhir_server.kernel.errors import ConflictError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.task_rows import task_document

_JOB, _FILE = "export", "export-file"
_FILE_VERSION = 1


class ExportRows:
    """`key` is the clinic's: a job names its client and, where it was asked for some, patients by id."""

    def __init__(self, collections: Collections, documents: Documents, key: DataKey) -> None:
        self._jobs, self._files, self._tasks = collections.exports, collections.export_files, collections.tasks
        self._documents, self._key = documents, key

    async def add(self, job: Job, due: datetime) -> None:
        with seam():
            try:
                await self._jobs.insert_one(self._row(job))
            except DuplicateKeyError:
                raise ConflictError("There is an export with this id.") from None
        await self.again(job, due)

    async def get(self, id: str) -> Job | None:
        with seam():
            found = await self._jobs.find_one({"_id": id})
        if found is None:
            return None
        revision = int(found["revision"])
        return Job.decode(self._documents.open_bytes(found["sealed"], _JOB, id, revision + 1, self._key), revision)

    async def save(self, job: Job) -> Job | None:
        raised = job.saved()
        with seam():
            done = await self._jobs.replace_one({"_id": job.id, "revision": job.revision}, self._row(raised))
        return raised if done.matched_count else None

    async def again(self, job: Job, due: datetime) -> None:
        with seam():
            await self._tasks.insert_one(task_document(Task(RUN_EXPORT, "", job.id), due))

    async def remove(self, job: Job) -> bool:
        with seam():
            gone = await self._jobs.delete_one({"_id": job.id})
            await self._files.delete_many({"job": job.id})
        return gone.deleted_count == 1

    async def running(self, client: str) -> int:
        with seam():
            return await self._jobs.count_documents({"client": client, "state": "active"}, hint="client")

    async def write(self, job: Job, file: str, lines: Sequence[Line]) -> None:
        sealed = self._documents.seal_bytes(encode_lines(lines), _FILE, file, _FILE_VERSION, self._key)
        with seam():
            await self._files.insert_one({"_id": file, "job": job.id, "expires": job.expires, "sealed": sealed})

    async def lines(self, file: str) -> Sequence[Line] | None:
        with seam():
            found = await self._files.find_one({"_id": file})
        if found is None:
            return None
        return decode_lines(self._documents.open_bytes(found["sealed"], _FILE, file, _FILE_VERSION, self._key))

    def _row(self, job: Job) -> Document:
        sealed = self._documents.seal_bytes(job.encode(), _JOB, job.id, job.revision + 1, self._key)
        return {
            "_id": job.id,
            "client": job.principal.client_id,
            "state": job.state,
            "revision": job.revision,
            "expires": job.expires,
            "sealed": sealed,
        }
