"""`fhir-server demo` and what stands beside it: two at once, twice in a row, ended cleanly; and tokens for scripts."""

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.cli.main import main
from tests.servers import Server, environment, run, started


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Side by side, each with its own port and folder."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"demo{number}") for number in (1, 2)]
        first, second = (stack.enter_context(started("demo", folder)) for folder in folders)
        yield first, second


def told(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder_of(server).joinpath("demo.json").read_text())  # noqa: TID251  from outside
    return found


def folder_of(server: Server) -> Path:
    return Path(server.env["FHIR_SERVER_DATA_DIR"])


def fhir(server: Server, path: str, token: str, method: str = "GET", body: bytes = b"") -> Any:
    status, _, answer = server.ask(method, path, body, Authorization=f"Bearer {token}", Content_Type="application/json")
    assert status in {200, 201}, answer
    return json.loads(answer)  # noqa: TID251  a look from outside


def test_the_last_line_says_ready_and_where(two: tuple[Server, Server]) -> None:
    for server in two:
        assert server.said[-1] == f"ready http://127.0.0.1:{server.port}"
        text = "\n".join(server.said)
        assert f"http://127.0.0.1:{server.port}/fhir" in text
        assert "fhir-server token" in text


def test_demo_json_is_private_complete_and_there_before_ready(two: tuple[Server, Server]) -> None:
    for server in two:
        place, found = folder_of(server) / "demo.json", told(server)
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert set(found) >= {"base_url", "fhir_base", "issuer", "mongo_uri", "clients", "users"}
        assert found["base_url"] == f"http://127.0.0.1:{server.port}"
        assert found["fhir_base"] == f"{found['base_url']}/fhir"
        assert isinstance(found["clients"], list)
        assert isinstance(found["users"], list)
        with MongoClient[dict[str, Any]](found["mongo_uri"]) as mongo:
            assert {"admin", "local", "clinic", "clinic_keys"} <= set(mongo.list_database_names())
            assert mongo["local"]["oplog.rs"].find_one() is not None
            assert mongo.admin.command("hello")["setName"]


def test_nobody_else_may_read_the_data_and_the_keys(two: tuple[Server, Server]) -> None:
    folder = folder_of(two[0])
    for path in (folder / "keys" / "root.json", folder / "mongo"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_welcome_can_be_followed(two: tuple[Server, Server]) -> None:
    """The search that it prints finds somebody."""
    server = two[0]
    [line] = [line for line in server.said if "curl" in line]
    path = line.partition(f":{server.port}")[2].rstrip("' ")

    assert fhir(server, path, server.token())["entry"]


def test_the_demo_photo_is_shown(two: tuple[Server, Server]) -> None:
    server = two[0]
    token = server.token()
    media = fhir(server, "/fhir/Media/demo-p1-media-1", token)

    status, headers, body = server.ask("GET", f"/fhir/{media['content']['url']}", Authorization=f"Bearer {token}")

    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert body.startswith(b"\xff\xd8")
    assert len(body) == media["content"]["size"]


def test_one_does_not_know_what_the_other_holds(two: tuple[Server, Server]) -> None:
    first, second = two
    fhir(first, "/fhir/Patient/only-here", first.token(), "PUT", b'{"resourceType":"Patient","id":"only-here"}')

    mine = first.ask("GET", "/fhir/Patient/only-here", Authorization=f"Bearer {first.token()}")[0]
    foreign = second.ask("GET", "/fhir/Patient/only-here", Authorization=f"Bearer {second.token()}")[0]
    crossed = second.ask("GET", "/fhir/Patient/only-here", Authorization=f"Bearer {first.token()}")[0]

    assert (mine, foreign, crossed) == (200, 404, 401)


def test_the_token_stands_alone_on_the_last_line_and_does_what_its_scope_says(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = two[0]

    assert ended_with(monkeypatch, server.env, "token", "--scope", "system/Patient.s") == 0

    output = capsys.readouterr()
    token = output.out.rstrip("\n").splitlines()[-1]
    assert token.count(".") == 2
    assert " " not in token
    assert token not in output.err
    assert server.ask("GET", "/fhir/Patient", Authorization=f"Bearer {token}")[0] == 200
    assert server.ask("GET", "/fhir/Observation", Authorization=f"Bearer {token}")[0] == 403


@pytest.mark.parametrize(
    "arguments",
    [
        ("token",),
        ("token", "--scope", ""),
        ("token", "--scope", "everything"),
        ("token", "--scope", "system/*.cruds nonsense"),
        ("token", "--scope", "patient/*.rs"),
        ("token", "--scope", "user/*.rs"),
        ("token", "--scope", "patient/*.rs", "--patient", "1"),
        ("token", "--scope", "patient/*.rs", "--patient", "Patient/1"),
        ("token", "--scope", "system/*.rs", "--lifetime", "0"),
        ("token", "--scope", "system/*.rs", "--lifetime", "99999999"),
        ("token", "--scope", "system/*.rs", "--fhir-user", "somebody"),
        ("keys",),
        ("keys", "destroy-everything"),
        ("nonsense",),
        (),
    ],
)
def test_a_wrong_use_ends_with_an_error_and_no_output(
    two: tuple[Server, Server],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    status = ended_with(monkeypatch, two[0].env, *arguments)

    output = capsys.readouterr()
    assert status not in {0, None}
    assert output.out == ""
    assert output.err.strip()


def ended_with(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str], *arguments: str) -> object:
    """The exit status of the command, run here for speed."""
    umask = os.umask(0o077)
    try:
        with monkeypatch.context() as patched:
            for name, value in env.items():
                patched.setenv(name, value)
            return main(arguments)
    except SystemExit as ended:
        return ended.code
    finally:
        os.umask(umask)


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_server_without_a_database_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert ended_with(monkeypatch, environment(tmp_path), command) == 1
    assert "FHIR_SERVER_MONGO_URI" in capsys.readouterr().err


def test_a_token_without_a_server_is_not_issued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_with(monkeypatch, environment(tmp_path), "token", "--scope", "system/*.rs") == 1
    assert "no running server" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings",
    [{"port": "x"}, {"colour": "red"}, {"log_level": "loud"}, {"host": "0.0.0.0"}],  # noqa: S104  refused
)
def test_settings_that_are_wrong_end_with_an_error_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: dict[str, str]
) -> None:
    assert ended_with(monkeypatch, environment(tmp_path, **settings), "demo") == 1
    output = capsys.readouterr()
    assert "FHIR_SERVER_" in output.err
    assert output.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said(two: tuple[Server, Server], tmp_path: Path) -> None:
    ended = run("demo", env=environment(tmp_path, port=two[0].port))

    assert ended.returncode == 1
    assert str(two[0].port) in ended.stderr
    assert "ready" not in ended.stdout
    assert processes_on(tmp_path) == []


def test_keys_status_counts_the_keys(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_with(monkeypatch, two[0].env, "keys", "status") == 0
    assert capsys.readouterr().out.strip()


def test_ctrl_c_ends_all_of_it_and_the_next_start_keeps_the_data(tmp_path: Path) -> None:
    with started("demo", tmp_path) as server:
        token = server.token()
        fhir(server, "/fhir/Patient/kept", token, "PUT", b'{"resourceType":"Patient","id":"kept"}')
        before = fhir(server, "/fhir/Patient?_total=accurate", token)["total"]
        assert len(processes_on(tmp_path)) >= 1

        ended = server.stop(signal.SIGINT)

    assert ended in {0, 130}
    assert processes_on(tmp_path) == []
    assert "Traceback" not in server.log.read_text()

    with started("demo", tmp_path) as again:
        token = again.token()
        assert fhir(again, "/fhir/Patient/kept", token)["meta"]["versionId"] == "1"
        assert fhir(again, "/fhir/Patient?_total=accurate", token)["total"] == before
        assert len(fhir(again, "/fhir/Media", token)["entry"]) == 7


def test_sigterm_ends_all_of_it_after_the_request_under_way(tmp_path: Path) -> None:
    body = b'{"resourceType":"Patient"}'
    with started("demo", tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        head = (
            "POST /fhir/Patient HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {server.token()}",
            "Content-Type: application/fhir+json",
            f"Content-Length: {len(body)}",
            "Expect: 100-continue",
        )
        wire.sendall("\r\n".join((*head, "", "")).encode())
        assert wire.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(body[:10])
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        wire.sendall(body[10:])

        assert wire.recv(100).startswith(b"HTTP/1.1 201 ")
        ended = server.process.wait(30)

    assert ended in {0, 143}
    assert processes_on(tmp_path) == []
    assert "Traceback" not in server.log.read_text()


def processes_on(folder: Path) -> list[str]:
    """Whatever runs with this folder in its command line, mongod for one."""
    listed = subprocess.run(["ps", "-ewwo", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]
