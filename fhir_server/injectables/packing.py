"""A pack as a ZIP file: each part as it is stored, the photographs, a page to read, and a signed list of their hashes.

Requirements T17, T51, T52, M9. Whoever has the public key needs nothing else: `verify_pack.py`. RFC 7515.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.injectables.page import page
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

PACK_TYPE = "evidence-pack+jws"
MANIFEST = "manifest.jws"
PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class File:
    """`reference` is to the version of what it holds; empty for what is of the pack alone."""

    path: str
    media_type: str
    data: bytes
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """`digest` is the SHA-256 of the signed manifest, by which the log knows the pack."""

    data: bytes
    digest: str


def manifest(statement: Mapping[str, object], parts: Sequence[File]) -> Json:
    """`statement` with the list of parts."""
    listed = [
        {
            "path": one.path,
            "mediaType": one.media_type,
            "size": len(one.data),
            "sha256": hashlib.sha256(one.data).hexdigest(),
            **({"reference": one.reference} if one.reference else {}),
        }
        for one in parts
    ]
    return {"kind": "evidence-pack", **statement, "parts": listed}


def with_page(statement: Mapping[str, object], parts: Sequence[File]) -> tuple[File, ...]:
    """The parts and a page that shows them; the page is a part itself."""
    shown = page(statement, [(one.path, one.media_type, one.reference) for one in parts])
    return (*parts, File(PAGE, "text/html; charset=utf-8", shown))


def packed(signed: str, parts: Sequence[File], now: datetime) -> Pack:
    """Photographs are packed already, and only laid in."""
    out = io.BytesIO()
    when = (now.year, now.month, now.day, now.hour, now.minute, now.second)
    raw = signed.encode()
    with zipfile.ZipFile(out, "w") as archive:
        for path, media_type, data in ((MANIFEST, "", raw), *((one.path, one.media_type, one.data) for one in parts)):
            method = zipfile.ZIP_STORED if media_type.startswith(("image/", "video/")) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(path, when), data, method)
    return Pack(out.getvalue(), hashlib.sha256(raw).hexdigest())


def encoded(statement: Json) -> bytes:
    return json.encode(statement)
