"""ZIP files that are bombs, lead elsewhere, lie about their sizes, hold links, or are no ZIP files."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mappers.mapping.faults import UnusableError
from mappers.runtime.archive import Archive, Limits

SMALL = Limits(files=5, each=2_000_000, together=6_000_000)


def packed(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for member, raw in members:
            made.writestr(member, raw, zipfile.ZIP_DEFLATED)
    return path


def link() -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("photo.png")
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


def refused(path: Path) -> None:
    with pytest.raises(UnusableError), Archive(path, SMALL):
        pass


def test_an_honest_archive_is_read(tmp_path: Path) -> None:
    with Archive(packed(tmp_path / "a.zip", ("folder/a.csv", b"ID\n1\n")), SMALL) as archive:
        assert archive.names == {"folder/a.csv"}
        assert archive.read("folder/a.csv") == b"ID\n1\n"


@pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd", "a/../../b", "..\\a.csv", "C:a.csv", "a\0b"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.zip", ("x" * len(name), b""))
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))

    refused(path)


def test_a_bomb_is_refused_unread(tmp_path: Path) -> None:
    refused(packed(tmp_path / "a.zip", ("a.csv", b"\0" * 1_900_000)))


def test_one_file_or_all_together_too_large_is_refused(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 7000

    refused(packed(tmp_path / "a.zip", ("a", b"x" * 2_100_000)))
    refused(packed(tmp_path / "b.zip", *((f"{n}", noise) for n in range(4))))
    refused(packed(tmp_path / "c.zip", *((f"{n}", b"") for n in range(6))))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    refused(packed(tmp_path / "a.zip", ("a.csv", b"1"), ("a.csv", b"2")))


def test_a_link_is_refused(tmp_path: Path) -> None:
    refused(packed(tmp_path / "a.zip", (link(), b"/etc/passwd")))


def encrypted(raw: bytes) -> bytes:
    """The flag in the central directory."""
    at = raw.index(b"PK\x01\x02") + 8
    return raw[:at] + struct.pack("<H", 1) + raw[at + 2 :]


def cut(raw: bytes) -> bytes:
    return raw[:-30]


def emptied(raw: bytes) -> bytes:
    return raw[:0]


@pytest.mark.parametrize("spoiled", [encrypted, cut, emptied])
def test_what_is_encrypted_cut_short_or_no_archive_is_refused(
    tmp_path: Path, spoiled: Callable[[bytes], bytes]
) -> None:
    path = packed(tmp_path / "a.zip", ("a.csv", b"ID\n"))
    path.write_bytes(spoiled(path.read_bytes()))

    refused(path)


@pytest.mark.parametrize("flip", [40, 45, 50])
def test_a_damaged_file_is_refused_when_it_is_read(tmp_path: Path, flip: int) -> None:
    path = packed(tmp_path / "a.zip", ("a.csv", b"some text that is packed, some text that is packed"))
    raw = bytearray(path.read_bytes())
    raw[flip] ^= 0xFF
    path.write_bytes(bytes(raw))

    with Archive(path, SMALL) as archive, pytest.raises(UnusableError):
        archive.read("a.csv")


def test_an_archive_in_an_archive_stays_closed(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", ("a.csv", b"\0" * 1_000_000)).read_bytes()

    with Archive(packed(tmp_path / "outer.zip", ("inner.zip", inner)), SMALL) as archive:
        assert archive.names == {"inner.zip"}
