"""The lines and the end of a reversibility archive: what no exporter writes is refused. Row S96."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.recipient import Opener, new_pair
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.privacy.reversibility.lines import head_of, picture_of, version_of
from fhir_server.privacy.reversibility.members import Listed, Manifest, manifest_of
from fhir_server.privacy.reversibility.reading import Reading

VERSION: Json = {
    "type": "Patient",
    "id": "7",
    "version": 2,
    "seq": 1_700_000_000_000_000,
    "method": "PUT",
    "author": "somebody",
    "subjects": ["7"],
    "resource": {"resourceType": "Patient", "id": "7", "meta": {"versionId": "2"}},
}
PICTURE: Json = {"id": "p", "owner": "Media/7", "subjects": ["7"], "mediaType": "image/jpeg", "length": 3}
HEAD: Json = {"patient": "7", "consents": {"Consent/1": 2}}


def test_a_line_is_read_as_it_was_written() -> None:
    version, deleted = version_of(json.encode(VERSION)), version_of(json.encode({**VERSION, "resource": None}))

    assert (str(version.key), version.version, version.subjects) == ("Patient/7", 2, ("7",))
    assert version.truth == b'{"resourceType":"Patient","id":"7","meta":{}}'
    assert deleted.truth == b"{}"
    assert picture_of(json.encode(PICTURE)).length == 3
    assert [str(consent) for consent in head_of(json.encode(HEAD))[1]] == ["Consent/1"]


BAD_VERSIONS: list[Json] = [
    *({"type": "AuditEvent"}, {"type": "Nothing"}, {"id": "a/b"}, {"version": 0}, {"seq": "1"}, {"method": "GET"}),
    *({"author": 3}, {"subjects": "7"}, {"subjects": ["a b"]}, {"resource": []}),
    {"resource": {"resourceType": "Patient", "id": "8"}},
]
BAD_PICTURES: list[Json] = [{"owner": "?"}, {"length": -1}, {"mediaType": 1}, {"id": "a/b"}]
BAD_HEADS: list[Json] = [{"patient": "?"}, {"consents": {"x": 1}}, {"consents": []}]


@pytest.mark.parametrize(
    ("reads", "good", "bad"),
    [
        *((version_of, VERSION, bad) for bad in BAD_VERSIONS),
        *((picture_of, PICTURE, bad) for bad in BAD_PICTURES),
        *((head_of, HEAD, bad) for bad in BAD_HEADS),
    ],
)
def test_what_no_exporter_writes_is_refused(reads: Callable[[bytes], object], good: Json, bad: Json) -> None:
    with pytest.raises(ArchiveError):
        reads(json.encode({**good, **bad}))
    for none in (b"{", b"[]", b"{}"):
        with pytest.raises(ArchiveError):
            reads(none)


def test_a_manifest_is_of_this_kind_and_format() -> None:
    found = Manifest("a", "clinic", "base", "then", "now", "key", *(Listed(1, "ff") for _ in range(3)))

    assert manifest_of(found.encode()) == found
    for bad in (b"{", b"{}", b"[]", found.encode().replace(b'"format":1', b'"format":2'), b'{"kind":"x","format":1}'):
        with pytest.raises(ArchiveError):
            manifest_of(bad)


def test_an_archive_holds_files_alone(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        link = tarfile.TarInfo("opening.json")
        link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
        tar.addfile(link)
    (tmp_path / "clinic.tar").write_bytes(written.getvalue())

    with pytest.raises(ArchiveError, match="belongs into none"):
        list(Reading(tmp_path / "clinic.tar", Opener(new_pair()[0]), bytes(32)).pieces())
