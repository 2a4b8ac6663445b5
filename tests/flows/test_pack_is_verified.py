"""S113, M5: a stranger verifies a regulator's pack with one file; whatever was changed in it is named."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_server.crypto.jws import public_jwk, sign_jws
from fhir_server.crypto.signing import Signer
from fhir_server.kernel import json
from fhir_server.privacy.register.files import MANIFEST, PACK_TYPE, files_of, manifest
from fhir_server.privacy.register.sections import Section

SECRET = bytes(range(32))
KEY = json.encode(public_jwk(Signer(SECRET).public, "receipts")).decode()
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def signed(payload: bytes, type: str = PACK_TYPE) -> str:
    return sign_jws(payload, SECRET, Signer(SECRET).public, "receipts", type)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    section = Section("one", "One", ("id", "says"), ({"id": "1", "says": "Çà et là"}, {"id": "2", "says": "=1+1"}))
    contents = files_of("Clinic", NOW, [section], [{"resourceType": "Basic"}], "checkpoint")
    contents[MANIFEST] = signed(manifest("Clinic", NOW, "witnessed", contents)).encode()
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def verify(folder: Path, key: str = KEY) -> tuple[int, str]:
    """On this Python: that a stranger's does as well is shown for the log."""
    program = Path(__file__).parents[2] / "verify_export.py"
    done = subprocess.run([sys.executable, "-I", program, folder, key], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_s_113_a_pack_is_verified_offline(pack: Path) -> None:
    status, said = verify(pack)

    assert (status, said.splitlines()[-1]) == (0, "VERIFIED"), said
    assert "issued 2026-11-22T09:30:00.000Z; the log is witnessed" in said


def change(pack: Path) -> None:
    (pack / "pack.json").write_text("{}")


def take_out(pack: Path) -> None:
    (pack / "csv/one.csv").unlink()


def add(pack: Path) -> None:
    (pack / "csv/two.csv").write_text("a")


def sign_something_else(pack: Path) -> None:
    (pack / MANIFEST).write_text(signed((pack / "pack.json").read_bytes(), "receipt+jws"))


def forge(pack: Path) -> None:
    head, _, signature = (pack / MANIFEST).read_text().split(".")
    (pack / MANIFEST).write_text(f"{head}.e30.{signature}")


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (change, "pack.json is not what was signed"),
        (take_out, "csv/one.csv is missing"),
        (add, "csv/two.csv does not belong to the pack"),
        (sign_something_else, "is no manifest of a pack"),
        (forge, "signature is not of this key"),
    ],
)
def test_s_113_what_was_changed_in_a_pack_is_found(pack: Path, alter: Callable[[Path], None], expected: str) -> None:
    alter(pack)

    status, said = verify(pack)

    assert (status, expected in said) == (1, True), said


def test_another_key_does_not_verify_it(pack: Path) -> None:
    other = json.encode(public_jwk(Signer(bytes(32)).public, "receipts")).decode()

    assert "not of this key" in verify(pack, other)[1]
    assert verify(pack, "nonsense")[0] == 1
