"""The README's five-minute tour: its blocks, run in order by a shell against a demo clinic that the test starts."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from fhir_server.kernel import json

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "fhir-server"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = ("token", "closed", "found", "read", "media", "photo", "refused", "withdrawn", "gone", "receipt", "log", "code")
PATIENCE = 240
DONE = "@@ the block ended @@"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What each block prints. The worker starts after the withdrawal, so that the `403` before it is no matter of luck.

    In the demo it looks once at its start and then not before the tour is long over.
    """
    if not (shutil.which("sh") and shutil.which("curl")):
        pytest.skip("The tour needs sh and curl.")
    data_dir, folder = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("shell")
    blocks = dict(zip(NAMES, BLOCK.findall((ROOT / "README.md").read_text()), strict=True))
    printed: dict[str, str] = {}
    with demo(data_dir) as port, shell(folder, data_dir) as sh:
        for name in NAMES[: NAMES.index("gone")]:
            printed[name] = said(sh, here(blocks[name], port))
        with worker(data_dir, port):
            for name in NAMES[NAMES.index("gone") :]:
                printed[name] = said(sh, here(blocks[name], port))
    return printed


def here(block: str, port: int) -> str:
    """The block as it would stand there had the reader chosen that port, in a folder with this `.venv`."""
    return block.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace(".venv/bin/fhir-server", str(PROGRAM))


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_SERVER_")}
    kept["PATH"] = f"{PROGRAM.parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "FHIR_SERVER_DATA_DIR": str(data_dir), **more}


@contextmanager
def demo(data_dir: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = environment(data_dir, FHIR_SERVER_WORKER_INTERVAL="3600", FHIR_SERVER_EMBEDDED_CACHE="0.25")
    with running(("demo", "--port", str(port)), settings, f"ready http://127.0.0.1:{port}"):
        yield port


@contextmanager
def worker(data_dir: Path, port: int) -> Iterator[None]:
    uri = json.decode((data_dir / "demo.json").read_bytes())["mongo_uri"]
    settings = environment(data_dir, FHIR_SERVER_MONGO_URI=uri, FHIR_SERVER_PORT=str(port))
    with running(("work",), settings, "ready"):
        yield


@contextmanager
def running(command: tuple[str, ...], settings: Mapping[str, str], ready: str) -> Iterator[None]:
    """One of our commands, from the line that says it is ready to its end after Ctrl-C."""
    with (
        subprocess.Popen((PROGRAM, *command), env=settings, stdout=subprocess.PIPE, text=True) as process,
        killed_after(process, PATIENCE),
    ):
        assert process.stdout is not None
        printed = lines_until(process.stdout, ready)
        assert printed is not None, f"fhir-server {command[0]} ended before it was ready"
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@contextmanager
def shell(folder: Path, data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    with (
        subprocess.Popen(
            ("sh", "-eu"),
            cwd=folder,
            env=environment(data_dir),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        killed_after(process, PATIENCE),
    ):
        yield process


@contextmanager
def killed_after(process: "subprocess.Popen[str]", seconds: float) -> Iterator[None]:
    """A child that hangs becomes a failure; nothing is left running when a test fails."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()


def said(sh: "subprocess.Popen[str]", block: str) -> str:
    assert sh.stdin is not None
    assert sh.stdout is not None
    sh.stdin.write(f"{block}\nprintf '\\n%s\\n' '{DONE}'\n")
    sh.stdin.flush()
    printed = lines_until(sh.stdout, DONE)
    assert printed is not None, f"the shell stopped in this block:\n{block}"
    return printed


def lines_until(stream: IO[str], last: str) -> str | None:
    """What is read before that line; None where the stream ends without it."""
    found: list[str] = []
    for line in stream:
        if line.rstrip("\n") == last:
            return "".join(found)
        found.append(line)
    return None


def test_without_a_token_only_the_description_is_answered(tour: Mapping[str, str]) -> None:
    assert tour["closed"].split() == ["401", "200"]


def test_a_patient_is_found_without_accents(tour: Mapping[str, str]) -> None:
    bundle = json.decode(tour["found"].encode())

    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["demo-p1"]
    assert bundle["entry"][0]["resource"]["name"][0]["family"] == "Lefèvre-Dubois"


def test_she_is_read_with_her_version_as_etag(tour: Mapping[str, str]) -> None:
    head, _, body = tour["read"].partition("\n\n")

    assert head.startswith("HTTP/1.1 200")
    assert 'etag: W/"1"' in head
    assert json.decode(body.strip().encode())["id"] == "demo-p1"


def test_a_media_names_its_bytes(tour: Mapping[str, str]) -> None:
    assert json.decode(tour["media"].encode())["content"]["url"].startswith("Binary/")


def test_a_photo_is_had_whole_and_by_range(tour: Mapping[str, str]) -> None:
    (whole, length), (part, hundred) = (line.split() for line in tour["photo"].splitlines() if line)

    assert (whole, part, hundred) == ("200", "206", "100")
    assert int(length) > int(hundred)


def test_a_photo_without_consent_is_refused_with_the_reason(tour: Mapping[str, str]) -> None:
    outcome, status = tour["refused"].split("\n")[:2]

    assert status == "403"
    assert json.decode(outcome.encode())["issue"][0]["diagnostics"].endswith("There is no consent on file.")


def test_the_read_after_the_withdrawal_is_refused(tour: Mapping[str, str]) -> None:
    assert tour["withdrawn"].split() == ["200", "403"]


def test_after_the_worker_the_photo_is_gone(tour: Mapping[str, str]) -> None:
    assert tour["gone"].split() == ["410"]


def test_there_is_one_receipt_and_it_is_signed(tour: Mapping[str, str]) -> None:
    [entry] = json.decode(tour["receipt"].encode())["entry"]
    receipt = entry["resource"]

    assert receipt["description"] == "1 photo(s) destroyed, 0 kept on another basis."
    assert receipt["content"][0]["attachment"]["contentType"] == "application/jose"


def test_the_log_tells_of_reads_of_the_deletion_and_of_the_refusal(tour: Mapping[str, str]) -> None:
    actions = set(re.findall(r'"action": "(\w)"', tour["log"]))

    assert {"R", "E", "D"} <= actions
    assert "403: There is no legal basis for this photo" in tour["log"]


def test_a_one_time_code_stands_in_for_the_app(tour: Mapping[str, str]) -> None:
    assert re.fullmatch(r"\d{6}", tour["code"].strip())
