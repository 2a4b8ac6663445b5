"""The importer for systems without an interface: dry runs, column mappings, what is refused. T42, S115, M22."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.validation import validate
from mappers.csv_files.layout import layout
from mappers.csv_files.rows import rows
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import encode
from mappers.mapping.message import Message
from mappers.runtime.archive import Archive
from mappers.runtime.importing import Importing, without_data
from tests.mappers.exports import COLUMNS, PARIS, columns, export
from tests.mappers.golden import RECEIVED

IMPORTING = Importing(columns(), PARIS, lambda: RECEIVED)


def resource(type: str, file: str, row: dict[str, str], **more: Any) -> Any:
    message = Message(encode({"file": file, "row": row, **more}), RECEIVED)
    entries = IMPORTING.reader(message, PARIS).bundle["entry"]
    [found] = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == type]
    return found


VISIT = {"ID": "1", "Patient": "1", "Début": "16/03/2026 10:00", "Durée": "30", "Statut": "Honoré"}


def test_m22_a_dry_run_says_what_would_be_and_what_would_be_lost(tmp_path: Path) -> None:
    with Archive(export(tmp_path / "export.zip")) as archive:
        report = IMPORTING.dry(archive)

    assert report.counts == {
        "patients.csv: would be taken": 1,
        "patients.csv: cannot be taken: Né(e) le is not written as the mapping says.": 1,
        "rendez-vous.csv: would be taken": 1,
        "rendez-vous.csv: cannot be taken: Statut holds a word that the column mapping does not know.": 1,
        "rendez-vous.csv: cannot be taken: The row has neither an end nor a duration in minutes.": 1,
        "photos.csv: would be taken": 1,
        "photos.csv: cannot be taken: The archive has no such file.": 1,
        "photos.csv: cannot be taken: Fichier leads to no photograph of a kind that is taken.": 1,
        "questionnaires.csv: would be taken": 1,
    }
    assert report.losses == {"patients.csv: Newsletter": 1, "rendez-vous.csv: Prix": 1}
    assert not [line for line in report.lines() if "Lefèvre" in line or "Latex" in line]


def test_a_row_is_a_visit_in_the_clinics_zone() -> None:
    visit = resource("Appointment", "rendez-vous.csv", VISIT)

    validate(visit, with_models=True)
    assert (visit["start"], visit["end"], visit["status"]) == (
        "2026-03-16T09:00:00Z",
        "2026-03-16T09:30:00Z",
        "fulfilled",
    )


def test_a_form_is_answered_question_by_question() -> None:
    row = {"ID": "1", "Patient": "1", "Rempli": "16/03/2026 09:50", "Allergies": "Latex", "Traitements": ""}

    form = resource("QuestionnaireResponse", "questionnaires.csv", row)

    validate(form, with_models=True)
    assert form["item"][0]["item"] == [{"linkId": "1", "text": "Allergies", "answer": [{"valueString": "Latex"}]}]


def test_a_photograph_is_kept_in_no_raw_message() -> None:
    raw = encode({"file": "photos.csv", "row": {"ID": "1"}, "head": "89504e47", "data": "iVBORw0KGgo="})

    assert b"iVBOR" not in without_data(raw)


@pytest.mark.parametrize(
    "changed",
    [
        {"system": "old"},
        {"files": {}},
        {"delimiter": ";;"},
        {"encoding": "utf-7"},
        {"colums": {}},
        {"files": {"a.csv": {"kind": "invoices", "columns": {"ID": "id"}}}},
        {"files": {"a.csv": {"kind": "patients", "columns": {"Nom": "family"}}}},
        {"files": {"a.csv": {"kind": "patients", "columns": {"ID": "id", "Consent": "consent"}}}},
        {"files": {"a.csv": {"kind": "patients", "columns": {"ID": "id", "Nr": "id"}}}},
    ],
)
def test_a_column_mapping_with_a_mistake_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UnusableError):
        layout({**COLUMNS, **changed})


FILE = columns().files["photos.csv"]


@pytest.mark.parametrize(
    "text",
    ["", "ID;Patient\n1;1\n", "ID;ID;Patient;Fichier\n", ";".join(f"c{n}" for n in range(300))],
    ids=["empty", "a column is missing", "a heading twice", "too many"],
)
def test_a_file_with_other_headings_than_promised_is_refused(text: str) -> None:
    with pytest.raises(UnusableError):
        list(rows(text.encode(), columns(), FILE))


@pytest.mark.parametrize(
    "row", ["1;1", "1;1;a;b", '1;1;"open', "1;1;" + "x" * 70_000], ids=["short", "long", "open", "huge"]
)
def test_a_row_that_cannot_be_read_does_not_stop_the_others(row: str) -> None:
    text = f"ID;Patient;Fichier\n1;1;a\n{row}\n"

    found = list(rows(text.encode(), columns(), FILE))

    assert found[0] == {"ID": "1", "Patient": "1", "Fichier": "a"}
    assert isinstance(found[-1], UnusableError)


def test_a_file_in_another_encoding_is_refused_and_not_mended() -> None:
    with pytest.raises(UnusableError):
        list(rows("ID;Patient;Fichier\n1;1;é".encode("cp1252"), columns(encoding="utf-8"), FILE))
