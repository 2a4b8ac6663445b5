import json
import os
import stat
import threading
from pathlib import Path

import pytest

from fhir_server.crypto.errors import ProviderError
from fhir_server.crypto.providers import private_file
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.port import Wrapped
from tests.unit.crypto.keys_at_hand import done


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "root.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_its_owners_alone_from_the_first_moment_on(path: Path) -> None:
    before = os.umask(0)
    try:
        FileProvider.create(path)
    finally:
        os.umask(before)

    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_tight_umask_does_not_hinder_it(path: Path) -> None:
    before = os.umask(0o377)
    try:
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o700)
        FileProvider.create(path)
    finally:
        os.umask(before)

    assert mode(path) == 0o600


@pytest.mark.parametrize("file_mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_may_open_is_refused(path: Path, file_mode: int) -> None:
    FileProvider.create(path)
    path.chmod(file_mode)

    with pytest.raises(ProviderError, match="600"):
        FileProvider(path)


@pytest.mark.parametrize("directory_mode", [0o750, 0o701, 0o770])
def test_a_directory_that_others_may_enter_is_refused(path: Path, directory_mode: int) -> None:
    FileProvider.create(path)
    path.parent.chmod(directory_mode)

    with pytest.raises(ProviderError, match="700"):
        FileProvider(path)


def test_a_link_or_a_directory_or_a_pipe_is_no_root_key_file(path: Path) -> None:
    FileProvider.create(path)
    link, folder, pipe = (path.with_name(name) for name in ("link", "folder", "pipe"))
    link.symlink_to(path)
    folder.mkdir(mode=0o700)
    os.mkfifo(pipe, 0o600)

    for other in (link, folder, pipe):
        with pytest.raises(ProviderError):
            FileProvider(other)


def test_a_missing_file_is_not_made_by_opening_it(path: Path) -> None:
    path.parent.mkdir(mode=0o700)

    with pytest.raises(ProviderError):
        FileProvider(path)

    assert not path.exists()


def test_creating_never_touches_a_file_that_is_there(path: Path) -> None:
    wrapped = done(FileProvider.create(path).wrap(b"k"))
    before = path.read_bytes()

    again = FileProvider.create(path)

    assert path.read_bytes() == before
    assert done(again.unwrap(wrapped)) == b"k"


def test_creating_beside_a_broken_file_does_not_repair_it(path: Path) -> None:
    FileProvider.create(path)
    path.write_bytes(b"")

    with pytest.raises(ProviderError):
        FileProvider.create(path)

    assert path.read_bytes() == b""


def test_even_without_the_lock_the_second_creator_does_not_overwrite_the_first(path: Path) -> None:
    private_file.make_directory(path.parent)

    assert private_file.create(path, b"first")
    assert not private_file.create(path, b"second")

    assert private_file.read(path) == b"first"


def test_many_creators_at_once_end_with_one_file(path: Path) -> None:
    start = threading.Barrier(8)
    found: list[Wrapped] = []

    def create() -> None:
        start.wait()
        found.append(done(FileProvider.create(path).wrap(b"k")))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    provider = FileProvider(path)
    assert [done(provider.unwrap(wrapped)) for wrapped in found] == [b"k"] * 8
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_many_new_versions_at_once_are_all_kept(path: Path) -> None:
    FileProvider.create(path)

    def add() -> None:
        done(FileProvider(path).new_version())

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done(FileProvider(path).describe()).version == 9


def test_a_process_notices_what_another_did_to_the_file(path: Path) -> None:
    mine, other = FileProvider.create(path), FileProvider(path)
    old = done(mine.wrap(b"old"))

    done(other.new_version())
    done(other.destroy_up_to(1))

    assert done(mine.wrap(b"new")).version == 2
    with pytest.raises(ProviderError):
        done(mine.unwrap(old))


def test_a_process_notices_that_the_file_is_gone_or_was_opened_to_others(path: Path) -> None:
    provider = FileProvider.create(path)
    done(FileProvider(path).new_version())
    path.chmod(0o644)

    with pytest.raises(ProviderError):
        done(provider.wrap(b"k"))
    path.unlink()
    with pytest.raises(ProviderError):
        done(provider.describe())


def test_a_destroyed_version_is_no_longer_in_the_file(path: Path) -> None:
    provider = FileProvider.create(path)
    first = json.loads(path.read_bytes())["keys"]["1"]  # noqa: TID251  another reader than the one under test
    done(provider.new_version())

    note = done(provider.destroy_up_to(1))

    assert first.encode() not in path.read_bytes()
    assert "copies" in note.note
    assert note.effective is None


def test_what_a_crash_left_beside_the_file_is_removed_at_the_next_change(path: Path) -> None:
    provider = FileProvider.create(path)
    torso = path.with_name(".root.json.new")
    torso.write_bytes(b"half a root key file")

    done(provider.new_version())

    assert not torso.exists()
    assert done(provider.describe()).version == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"format":2,"destroyed_up_to":0,"keys":{"1":"' + b"00" * 32 + b'"}}',
        b'{"format":1,"destroyed_up_to":0,"keys":{}}',
        b'{"format":1,"destroyed_up_to":0,"keys":{"1":"00"}}',
        b'{"format":1,"destroyed_up_to":0,"keys":{"1":7}}',
        b'{"format":1,"destroyed_up_to":0,"keys":{"one":"' + b"00" * 32 + b'"}}',
        b'{"format":1,"destroyed_up_to":0,"keys":[]}',
    ],
)
def test_a_damaged_file_is_refused_and_not_quoted(path: Path, content: bytes) -> None:
    FileProvider.create(path)
    path.write_bytes(content)

    with pytest.raises(ProviderError) as caught:
        FileProvider(path)

    assert "00" not in str(caught.value)


def test_more_than_a_provider_wraps_is_refused(path: Path) -> None:
    with pytest.raises(ProviderError, match="too long"):
        done(FileProvider.create(path).wrap(bytes(1025)))


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_provider(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ProviderError):
        FileProvider.create(tmp_path / "file" / "keys" / "root.json")
