"""Several processes answer on one port: one that is killed is replaced, and none outlives the one that watches them."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket
from time import monotonic, sleep

import pytest

from fhir_server.cli import serve
from fhir_server.cli.faults import CommandError
from fhir_server.cli.processes import Ready, run_together
from fhir_server.settings import Settings
from tests.servers import Server, environment, free_port, run, started

_PATIENCE = 60.0


@pytest.fixture
def several(mongo_uri: str, database_name: str, tmp_path: Path) -> Iterator[Server]:
    with started("serve", tmp_path, mongo_uri=mongo_uri, database=database_name, processes=2) as server:
        yield server


def children(of: int) -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{of}/task/{of}/children").read_text().split()}


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def becomes_true(condition: Callable[[], bool]) -> bool:
    """Asked again and again until it holds, or nobody would wait longer."""
    until = monotonic() + _PATIENCE
    while not condition():
        if monotonic() > until:
            return False
        sleep(0.05)
    return True


def test_s_93_one_that_is_killed_is_replaced_while_the_others_answer(several: Server) -> None:
    before = children(several.process.pid)
    token = several.token()
    assert len(before) == 2
    killed = min(before)

    os.kill(killed, signal.SIGKILL)
    assert becomes_true(lambda: not lives(killed))
    stored = several.ask(
        "PUT",
        "/fhir/Basic/after",
        b'{"resourceType":"Basic","id":"after","code":{"text":"x"}}',
        Authorization=f"Bearer {token}",
        Content_Type="application/fhir+json",
    )

    assert stored[0] == 201, stored
    assert becomes_true(lambda: len(children(several.process.pid)) == 2)
    assert killed not in children(several.process.pid)
    assert several.ask("GET", "/fhir/Basic/after", Authorization=f"Bearer {token}")[0] == 200
    assert "another takes its place" in several.log.read_text()


@pytest.mark.parametrize(("first", "ports"), [(0, [0, 0, 0]), (9464, [9464, 9465, 9466])])
def test_each_of_them_tells_its_metrics_on_a_port_of_its_own(
    first: int, ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(serve, "listen", lambda *given: told.append(given[2]))
    settings = Settings(data_dir=tmp_path, processes=3, metrics_port=first)

    with socket() as listener:
        for task in serve.listening(settings, listener):
            task(lambda: None)

    assert told == ports


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_all_of_them_end_in_good_order(several: Server, number: signal.Signals) -> None:
    answering = children(several.process.pid)

    assert several.stop(number) == 0
    assert not any(map(lives, answering))
    assert several.log.read_text() == ""


def test_where_the_one_that_watches_is_killed_none_stays(several: Server) -> None:
    answering = children(several.process.pid)

    several.stop(signal.SIGKILL)

    assert len(answering) == 2
    assert becomes_true(lambda: not any(map(lives, answering)))


def test_what_cannot_start_ends_with_an_error(tmp_path: Path) -> None:
    """The root key is a folder: every process that would answer says so and ends."""
    (tmp_path / "keys" / "root.json").mkdir(parents=True)

    nowhere = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    ended = run("serve", env=environment(tmp_path, mongo_uri=nowhere, processes=2, port=free_port()))

    assert ended.returncode == 1
    assert "did not start" in ended.stderr


def test_nothing_is_ready_before_all_are() -> None:
    """The second ends without having said so."""
    told: list[str] = []

    def first(ready: Ready) -> None:
        ready()
        signal.pause()

    def silent(ready: Ready) -> None:
        del ready

    with pytest.raises(CommandError, match="did not start"):
        run_together([first, silent], lambda: told.append("ready"))

    assert told == []


def test_stopped_before_it_is_ready_it_just_ends() -> None:
    parent, told = os.getpid(), list[str]()

    def slow(ready: Ready) -> None:
        os.kill(parent, signal.SIGTERM)
        signal.pause()

    run_together([slow], lambda: told.append("ready"))

    assert told == []
