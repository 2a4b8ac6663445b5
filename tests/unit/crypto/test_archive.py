"""Pieces of a backup open at their own place only; a backup of keys goes with the root's version."""

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.archive import ID_BYTES, Archive, unwrapped_secret, wrapped_secret
from fhir_server.crypto.errors import ArchiveError, OpeningError, ProviderError
from fhir_server.crypto.providers.file import FileProvider

SECRET, ID = bytes(range(32)), bytes(range(16))


def archive(secret: bytes = SECRET, id: bytes = ID) -> Archive:
    return Archive(secret, id, secrets.token_bytes)


@given(st.binary(max_size=2_000), st.booleans())
def test_a_piece_opens_as_it_was(plain: bytes, final: bool) -> None:  # noqa: FBT001  hypothesis gives it
    assert archive().open("heads", 3, archive().seal("heads", 3, plain, final=final), final=final) == plain


@pytest.mark.parametrize(
    ("other", "name", "number", "final"),
    [
        (archive(), "heads", 4, False),
        (archive(), "audit", 3, False),
        (archive(), "heads", 3, True),
        (archive(id=bytes(16)), "heads", 3, False),
        (archive(secret=bytes(32)), "heads", 3, False),
    ],
)
def test_it_opens_nowhere_else(other: Archive, name: str, number: int, final: bool) -> None:  # noqa: FBT001  a case
    sealed = archive().seal("heads", 3, b"rows", final=False)

    with pytest.raises(ArchiveError, match=f"{name}, piece {number}"):
        other.open(name, number, sealed, final=final)


@given(st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    sealed = bytearray(archive().seal("heads", 0, b"some rows", final=True))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(ArchiveError):
        archive().open("heads", 0, bytes(sealed), final=True)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12)])
def test_what_is_too_short_is_no_piece(sealed: bytes) -> None:
    with pytest.raises(ArchiveError):
        archive().open("heads", 0, sealed, final=True)


@pytest.mark.anyio
async def test_the_key_of_a_backup_of_keys_goes_with_the_version_of_the_root(tmp_path: Path) -> None:
    provider = FileProvider.create(tmp_path / "keys" / "root.json")
    wrapped = await wrapped_secret(provider, ID, SECRET)
    assert await unwrapped_secret(provider, ID, wrapped) == SECRET
    with pytest.raises(OpeningError):
        await unwrapped_secret(provider, bytes(ID_BYTES), wrapped)

    await provider.new_version()
    await provider.destroy_up_to(1)

    with pytest.raises(ProviderError):
        await unwrapped_secret(provider, ID, wrapped)


def test_the_id_of_a_backup_has_its_length() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        archive(id=b"short")
