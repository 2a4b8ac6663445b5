"""What a finished export says of itself.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status; R-BULK-020 to -023.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from fhir_server.export.job import Job, Kind
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import Issue
from fhir_server.kernel.json import Json

IGNORED = "ignored"
"""The name of the file that tells what lenient handling left out."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def manifest(job: Job, address: str) -> Json:
    """`address`: what each file's id is appended to."""
    found: Json = {
        "transactionTime": instant(_EPOCH + timedelta(microseconds=job.until)),
        "request": job.url,
        "requiresAccessToken": True,
        "output": list(_files(job, "output", address)),
        "error": [],
    }
    if job.since is not None:
        found["deleted"] = list(_files(job, "deleted", address))
    if job.asked.ignored:
        url = f"{address}{IGNORED}"
        found["error"] = [{"type": "OperationOutcome", "url": url, "count": len(job.asked.ignored)}]
    return found


def outcomes(job: Job) -> list[Json]:
    """R-BULK-011: one for each parameter that had no effect."""
    return [
        operation_outcome(
            [Issue("not-supported", f"The parameter {name} had no effect, or not all of it.", severity="information")]
        )
        for name in job.asked.ignored
    ]


def deletions(type: str, ids: list[str]) -> Json:
    """A Bundle that deletes them, as a client would have sent it."""
    entries = [{"request": {"method": "DELETE", "url": f"{type}/{id}"}} for id in ids]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _files(job: Job, kind: Kind, address: str) -> Iterator[Json]:
    """A file of deletions is one line, a Bundle."""
    for file in job.of(kind):
        is_output = kind == "output"
        count = file.lines if is_output else 1
        yield {"type": file.type if is_output else "Bundle", "url": f"{address}{file.id}", "count": count}
