"""The files of a regulator's pack: the same facts make the same bytes, in each of the formats."""

import csv
import io
import zipfile
from datetime import UTC, datetime

from fhir_server.kernel import json
from fhir_server.privacy.premises import Measure
from fhir_server.privacy.register.files import MANIFEST, files_of, manifest, zipped
from fhir_server.privacy.register.sections import Section, of_security

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SECTION = Section("one", "One", ("id", "says"), ({"id": "1", "says": "Ünïcode → 日本"}, {"id": "-2", "says": ""}))
EMPTY = Section("none", "None", ("id",), ())


def made() -> dict[str, bytes]:
    return files_of("Clinic 日本", NOW, [SECTION, EMPTY], [], "")


def test_s_113_the_same_facts_make_the_same_bytes() -> None:
    first, second = made(), made()

    assert first == second
    assert "audit/checkpoint" not in first, "nothing was recorded yet"
    signed = manifest("Clinic", NOW, "witnessed", first)
    assert zipped(first, signed, NOW, str) == zipped(second, signed, NOW, str)


def test_json_and_csv_keep_every_letter_and_a_cell_is_no_formula() -> None:
    files = made()

    [row, second] = json.decode(files["pack.json"])["sections"][0]["rows"]
    [line, other] = csv.DictReader(io.StringIO(files["csv/one.csv"].decode("utf-8-sig")))

    assert row["says"] == line["says"] == "Ünïcode → 日本"
    assert (second["id"], other["id"]) == ("-2", "'-2")


def test_a_pack_of_many_pages_is_one_pdf() -> None:
    rows = tuple({"id": str(number), "says": "long " * 80} for number in range(30))

    pdf = files_of("Clinic", NOW, [Section("many", "Many", ("id", "says"), rows)], [], "")["pack.pdf"]

    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Type /Page\n") > 3


def test_the_zip_holds_the_files_and_their_manifest() -> None:
    contents = made()

    with zipfile.ZipFile(io.BytesIO(zipped(contents, b"{}", NOW, bytes.decode))) as archive:
        assert set(archive.namelist()) == {*contents, MANIFEST}
        assert archive.read(MANIFEST) == b"{}"


def test_s_92_the_pack_maps_the_software_to_iso_27001() -> None:
    security, mapped = of_security([Measure("tls", "Plain.", holds=False)])

    assert security.rows == ({"measure": "tls", "holds": "no", "says": "Plain."},)
    assert len(mapped.rows) > 10
    assert all(row["annex-a"] and row["says"] for row in mapped.rows)
