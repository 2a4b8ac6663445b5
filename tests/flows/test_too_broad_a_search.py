"""A search that would open too much is refused with an outcome, and answered once it says more (R-FHIR-061)."""

from pathlib import Path

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import read, running
from tests.samples import patient

pytestmark = pytest.mark.anyio


def observation(number: int) -> Json:
    status = "amended" if number < 5 else "final"
    about = {"reference": "Patient/p"}
    return {"resourceType": "Observation", "status": status, "code": {"text": f"word {number}"}, "subject": about}


async def test_r_fhir_061_what_is_too_broad_without_a_status_is_answered_with_one(
    mongo_uri: str, database_name: str, tmp_path: Path
) -> None:
    async with running(mongo_uri, database_name, tmp_path, search_candidates=20) as clinic:
        clerk = clinic.caller()
        await clerk.store(patient(id="p"))
        for number in range(30):
            await clerk.store(observation(number))

        broad = await clerk.get("/fhir/Observation?subject=Patient/p&_total=accurate")
        narrow = await clerk.get("/fhir/Observation?subject=Patient/p&_total=accurate&status=amended")

    assert broad.status_code == 400
    assert [issue["code"] for issue in read(broad)["issue"]] == ["too-costly"]
    assert (narrow.status_code, read(narrow)["total"]) == (200, 5)
