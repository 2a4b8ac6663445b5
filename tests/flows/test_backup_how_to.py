"""docs/how-to/back-up-and-restore.md: its commands, run in order against a demo clinic; and a backup that is killed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fhir_server.kernel import json
from tests.servers import COMMAND, Server, run, started

PAGE = Path(__file__).parents[2] / "docs/how-to/back-up-and-restore.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = ("create", "verify", "filed", "restore", "rotate")
PATIENT = "/fhir/Patient?name=camille"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started("demo", tmp_path_factory.mktemp("backup")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shell")


@pytest.fixture(scope="module")
def printed(demo: Server, folder: Path) -> Mapping[str, str]:
    """What each block of the page prints."""
    blocks = dict(zip(NAMES, BLOCK.findall(PAGE.read_text()), strict=True))
    env = {**demo.env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{demo.env['PATH']}"}
    found = {}
    for name, block in blocks.items():
        there = block.replace("127.0.0.1:8000", f"127.0.0.1:{demo.port}")
        ended = subprocess.run(
            ["sh", "-ec", there], env=env, cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, (name, ended.stderr)
        found[name] = ended.stdout
    return found


def test_s62_a_backup_is_taken_while_the_server_runs(printed: Mapping[str, str], folder: Path) -> None:
    data, keys = printed["create"].splitlines()

    assert re.fullmatch(r"data: \d+ rows of \d+ collections, as of 20.*Z", data)
    assert re.fullmatch(r"keys: \d+ rows of 2 collections, as of 20.*Z", keys)
    assert (folder / "backups/monday/manifest.jws").is_file()


def test_s63_t52_it_is_tried_out_and_the_result_is_in_the_record(printed: Mapping[str, str]) -> None:
    assert "without a difference" in printed["verify"]
    bundle = json.decode(printed["filed"].encode())
    assert [entry["resource"]["type"]["coding"][0]["code"] for entry in bundle["entry"]] == ["backup-drill"]


def test_the_commands_are_in_the_log(printed: Mapping[str, str], demo: Server) -> None:
    token = demo.token(scope="system/AuditEvent.rs")
    _, _, body = demo.ask("GET", "/fhir/AuditEvent?_sort=-_lastUpdated&_count=200", Authorization=f"Bearer {token}")

    assert b"backup-create" in body
    assert b"backup-verify" in body


def test_a_restored_clinic_is_served(printed: Mapping[str, str], demo: Server, folder: Path) -> None:
    assert re.match(r"Restored as of 20.*: \d+ versions, 0 erased since\.", printed["restore"])
    with started("demo", folder / "restored") as again:
        status, _, body = again.ask("GET", PATIENT, Authorization=f"Bearer {again.token()}")

    assert status == 200
    here = demo.ask("GET", PATIENT, Authorization=f"Bearer {demo.token()}")[2]
    assert ids(body) == ids(here) != []


def ids(body: bytes) -> list[str]:
    return [entry["resource"]["id"] for entry in json.decode(body).get("entry", [])]


def test_a_restore_over_a_running_clinic_is_refused(printed: Mapping[str, str], demo: Server, folder: Path) -> None:
    uri = json.decode((Path(demo.env["FHIR_SERVER_DATA_DIR"]) / "demo.json").read_bytes())["mongo_uri"]

    refused = run(
        *("backup", "restore", str(folder / "backups/monday"), "--keys", str(folder / "elsewhere/monday")),
        env={**demo.env, "FHIR_SERVER_MONGO_URI": uri},
        patience=300,
    )

    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert demo.ask("GET", PATIENT, Authorization=f"Bearer {demo.token()}")[0] == 200


def test_m2_the_root_is_rotated(printed: Mapping[str, str], demo: Server, folder: Path) -> None:
    assert "Old versions live on" in printed["rotate"]
    assert "Versions up to 1 are destroyed" in printed["rotate"]
    assert demo.ask("GET", PATIENT, Authorization=f"Bearer {demo.token()}")[0] == 200


def test_verify_ends_with_a_status_where_something_is_different(
    printed: Mapping[str, str], demo: Server, folder: Path
) -> None:
    """A copy with one piece gone; without a server beside it, nothing can be filed, and it is said."""
    piece = folder / "backups/monday/history.000000.sealed"
    kept = piece.read_bytes()
    piece.unlink()
    alone = folder / "alone"
    alone.mkdir(exist_ok=True)
    root = folder / "restored/keys/root.json"  # of before the rotation, as the keys are
    try:
        found = run(
            *("backup", "verify", str(folder / "backups/monday"), "--keys", str(folder / "elsewhere/monday")),
            env={**demo.env, "FHIR_SERVER_DATA_DIR": str(alone), "FHIR_SERVER_ROOT_KEY_FILE": str(root)},
            patience=300,
        )
    finally:
        piece.write_bytes(kept)

    assert found.returncode == 1
    assert "history, piece 0: it is missing." in found.stdout
    assert "was not filed" in found.stderr


def test_s62_a_backup_that_is_killed_goes_on(demo: Server, tmp_path: Path) -> None:
    """SIGKILL, wherever it happens to be; then the same command again."""
    command = [*COMMAND, "backup", "create", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
    first = tmp_path / "data" / "progress.sealed"
    process = subprocess.Popen(command, env=demo.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not first.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL, "it was killed before it was done"
    assert not (tmp_path / "data" / "manifest.jws").exists()

    again = subprocess.run(command, env=demo.env, capture_output=True, text=True, timeout=120, check=False)

    assert again.returncode == 0, again.stderr
    tried = run("backup", "verify", command[-3], "--keys", command[-1], env=demo.env, patience=300)
    assert tried.returncode == 0, tried.stderr
    assert "without a difference" in tried.stdout
