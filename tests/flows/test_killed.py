"""Row T32: what was acknowledged survives `kill -9` of the server and of mongod; nothing is there by halves."""

import http.client
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from fhir_server.store.embedded import EmbeddedMongo
from tests.samples import consent, jpeg, media
from tests.servers import Server, started

WRITERS = 4


class Load:
    """Writers that go on until the server is gone, and what it acknowledged to them."""

    def __init__(self, server: Server, token: str) -> None:
        self.server, self.token = server, token
        self.acknowledged: list[dict[str, Any]] = []
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]

    def write(self, number: int) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/fhir+json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            for turn in range(10_000):
                pair = [resource(f"w{number}-{turn}-{part}") for part in ("a", "b")]
                connection.request("POST", "/fhir", json.dumps(transaction(pair)).encode(), headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.acknowledged += pair
                    if len(self.acknowledged) > 60:
                        self.enough.set()
                assert answer.status in {200, 503}, body
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


def resource(id: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "name": [{"family": f"Family of {id}"}]}


def transaction(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"request": {"method": "PUT", "url": f"Patient/{one['id']}"}, "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def ask(server: Server, token: str, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    raw = json.dumps(body).encode() if body else b""
    status, _, answer = server.ask(method, path, raw, Authorization=f"Bearer {token}", Content_Type="application/json")
    return status, answer


def killed_under_load(folder: Path, *, database_too: bool) -> tuple[list[dict[str, Any]], str, bytes]:
    """What was acknowledged before the blow, among it a photo."""
    taken = jpeg(200_000, plain=True)
    mongo = EmbeddedMongo(folder / "mongo")
    uri = mongo.start()
    try:
        with started("serve", folder, mongo_uri=uri) as server:
            token = server.token()
            ask(server, token, "PUT", "/fhir/Patient/p", {"resourceType": "Patient", "id": "p"})
            ask(server, token, "POST", "/fhir/Consent", consent("p"))
            load = Load(server, token)
            for thread in load.threads:
                thread.start()
            status, answer = ask(server, token, "POST", "/fhir/Media", media("p", taken))
            assert status == 201, answer
            assert load.enough.wait(30)
            if database_too and mongo.pid:
                os.kill(mongo.pid, signal.SIGKILL)
            server.process.kill()
            server.process.wait(20)
            for thread in load.threads:
                thread.join(30)
    finally:
        mongo.stop()
    url: str = json.loads(answer)["content"]["url"]  # noqa: TID251  a look from outside
    return load.acknowledged, url, taken


def everything_is_there(folder: Path, acknowledged: list[dict[str, Any]], url: str, taken: bytes) -> None:
    with EmbeddedMongo(folder / "mongo") as mongo, started("serve", folder, mongo_uri=mongo.uri) as server:
        token = server.token()
        for one in acknowledged:
            status, answer = ask(server, token, "GET", f"/fhir/Patient/{one['id']}")
            assert status == 200, one["id"]
            assert json.loads(answer)["name"] == one["name"]  # noqa: TID251  a look from outside
        for one in {one["id"][:-1] for one in acknowledged}:
            number, turn, _ = one.split("-")
            nexts = [f"{number}-{int(turn) + 1}-{part}" for part in "ab"]
            there = {ask(server, token, "GET", f"/fhir/Patient/{id}")[0] for id in nexts}
            assert len(there) == 1, "a transaction was written by halves"
        status, _, body = server.ask("GET", f"/fhir/{url}", Authorization=f"Bearer {token}")
        assert (status, body) == (200, taken)
        status, answer = ask(server, token, "POST", "/fhir", transaction([resource("after-1"), resource("after-2")]))
        assert status == 200, answer


def test_t32_killing_the_server_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged, url, taken = killed_under_load(tmp_path, database_too=False)

    everything_is_there(tmp_path, acknowledged, url, taken)


def test_t32_killing_server_and_database_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged, url, taken = killed_under_load(tmp_path, database_too=True)

    everything_is_there(tmp_path, acknowledged, url, taken)
