"""What every attack must leave behind: nothing stored, an OperationOutcome, and no word of a patient anywhere."""

import logging
from dataclasses import dataclass, field

import pytest
from httpx2 import Response

from tests.clinics import InProcess, read

MARK = "Zmarkerzahl"
"""Stands wherever an attack would carry something of a patient; it must come back nowhere."""


@dataclass(slots=True)
class Watch:
    """Begin before the attack, end after it."""

    clinic: InProcess
    logged: pytest.LogCaptureFixture
    printed: pytest.CaptureFixture[str] | None
    before: dict[str, int] = field(default_factory=dict)
    answers: list[Response] = field(default_factory=list)

    async def begin(self) -> None:
        self.logged.set_level(logging.DEBUG, "fhir_server")
        self.before = await self.clinic.counts()

    def refused(self, answer: Response, status: int) -> None:
        assert answer.status_code == status, answer.text[:500]
        assert answer.headers["content-type"].startswith("application/fhir+json")
        outcome = read(answer)
        assert outcome["resourceType"] == "OperationOutcome"
        assert all(issue["severity"] in {"fatal", "error"} and issue["code"] for issue in outcome["issue"])
        self.answers.append(answer)

    async def end(self) -> None:
        """Nothing stored, and the marker neither logged nor printed nor sent back."""
        assert await self.clinic.counts() == self.before
        output = self.printed.readouterr() if self.printed else None
        # The test's own HTTP client logs as well; it is not the server.
        ours = [record.getMessage() for record in self.logged.records if not record.name.startswith("httpx2")]
        for text in (*ours, *(output or ()), *(answer.text for answer in self.answers)):
            assert MARK.casefold() not in text.casefold()
