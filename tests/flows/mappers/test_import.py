"""An export of a system without an interface, imported twice. T42, S115, M22."""

from pathlib import Path

import pytest

from fhir_server.kernel import json
from mappers.runtime.archive import Archive
from mappers.runtime.delivery import Delivery, Source
from mappers.runtime.importing import Importing, without_data
from mappers.runtime.records import Records
from mappers.runtime.server import Server
from tests.clinics import InProcess
from tests.flows.mappers.conftest import RECEIVED, STATE_KEY
from tests.mappers.exports import PARIS, columns, export
from tests.people import care_team

pytestmark = pytest.mark.anyio


async def test_m22_an_export_imported_twice_is_there_once_and_its_photograph_is_kept_for_care(
    clinic: InProcess, server: Server, tmp_path: Path
) -> None:
    importing = Importing(columns(), PARIS, lambda: RECEIVED)
    source = Source("old-system", importing.reader, PARIS, keep=without_data)
    delivery = Delivery(server, source, Records("old-system", STATE_KEY), lambda: RECEIVED)
    caller = clinic.caller()

    with Archive(export(tmp_path / "export.zip", "imp-")) as archive:
        first = await importing.run(archive, delivery)
        second = await importing.run(archive, delivery)
        [patient] = [
            entry["resource"]
            for entry in json.decode((await caller.get("/fhir/Patient?identifier=imp-1")).content)["entry"]
        ]

    assert first.counts["patients.csv: written"] == 1
    assert first.counts["rendez-vous.csv: written"] == 1
    assert first.counts["questionnaires.csv: written"] == 1
    assert first.counts["photos.csv: written"] == 1
    assert second.counts["photos.csv: written"] == 0
    assert first.counts["patients.csv: dead letter"] == 1
    assert second.counts["patients.csv: duplicate"] == 2
    nurse = clinic.caller("user/*.rs", fhir_user="Practitioner/imp", role="practitioner")
    await caller.store(care_team(patient["id"], "Practitioner/imp"))
    for query in ("Appointment", "Media", "QuestionnaireResponse"):
        answer = await nurse.get(f"/fhir/{query}?patient=Patient/{patient['id']}")
        assert len(json.decode(answer.content)["entry"]) == 1
