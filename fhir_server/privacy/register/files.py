"""The files of a regulator's pack: JSON, CSV, FHIR, PDF, and the manifest that signs them, in one ZIP.

M5, row S113: the same facts at the same instant make the same bytes, and each file proves itself by its hash.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from fhir_server.privacy.register.sections import Section

KIND = "regulator-pack"
PACK_TYPE = "regulator-pack+jws"
MANIFEST = "manifest.jws"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def files_of(
    clinic: str, now: datetime, sections: Sequence[Section], resources: Sequence[Json], checkpoint: str
) -> dict[str, bytes]:
    """Name -> content; without the manifest."""
    from fhir_server.privacy.register.printing import printed  # here, for what prints takes long to load

    pack = {
        "clinic": clinic,
        "issued": instant(now),
        "sections": [{"name": one.name, "title": one.title, "rows": list(one.rows)} for one in sections],
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": instant(now),
        "entry": [{"resource": resource} for resource in resources],
    }
    found = {
        "pack.json": json.pretty(json.encode(pack)),
        "bundle.json": json.encode(bundle),
        "pack.pdf": printed(clinic, now, sections),
        **{f"csv/{one.name}.csv": _table(one) for one in sections},
    }
    return {**found, "audit/checkpoint": checkpoint.encode()} if checkpoint else found


def manifest(clinic: str, now: datetime, assurance: str, contents: Mapping[str, bytes]) -> bytes:
    """What is signed: every file by name, length and SHA-256."""
    listed = [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(contents.items())
    ]
    return json.encode(
        {"kind": KIND, "clinic": clinic, "issued": instant(now), "assurance": assurance, "files": listed}
    )


def zipped(contents: Mapping[str, bytes], signed: bytes, now: datetime, sign: Callable[[bytes], str]) -> bytes:
    """`signed` is the manifest, `sign` makes a compact JWS of it."""
    written = io.BytesIO()
    at = (now.year, now.month, now.day, now.hour, now.minute, now.second)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({**contents, MANIFEST: sign(signed).encode()}.items()):
            archive.writestr(zipfile.ZipInfo(name, at), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _table(section: Section) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(section.columns)
    writer.writerows([_harmless(row.get(column, "")) for column in section.columns] for row in section.rows)
    return text.getvalue().encode("utf-8-sig")


def _harmless(cell: str) -> str:
    """A spreadsheet would run what begins like a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
