"""What only a real socket can carry: huge bodies, requests that are two, paths that no client would send."""

import gzip
import http.client
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK
from tests.servers import Server, started


@pytest.fixture(scope="module")
def server(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir: Path = tmp_path_factory.mktemp("wire")
    with started("serve", data_dir, mongo_uri=mongo_uri, database="test_wire", log_level="debug") as running:
        yield running
    with MongoClient[Json](mongo_uri) as mongo:
        for name in mongo.list_database_names():
            if name.startswith("test_wire"):
                mongo.drop_database(name)


@pytest.fixture(scope="module")
def bearer(server: Server) -> str:
    return f"Bearer {server.token()}"


@pytest.fixture(scope="module", autouse=True)
def somebody(server: Server, bearer: str) -> None:
    body = json.dumps({"resourceType": "Patient", "id": "somebody", "name": [{"family": MARK}]}).encode()
    status, _, _ = server.ask(
        "PUT", "/fhir/Patient/somebody", body, Authorization=bearer, Content_Type="application/json"
    )
    assert status == 201


@pytest.fixture(autouse=True)
def nothing_is_stored_or_logged(server: Server, mongo_uri: str) -> Iterator[None]:
    with MongoClient[Json](mongo_uri) as mongo:
        database = mongo["test_wire"]
        before = [database[name].count_documents({}) for name in ("resources", "history", "photos")]
        yield
        assert [database[name].count_documents({}) for name in ("resources", "history", "photos")] == before
    log = server.log.read_text()
    assert MARK not in log
    assert "Traceback" not in log


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "Connection: close", "", "")
    return "\r\n".join(lines).encode("latin-1") + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize("size", [33_000_000, 60_000_000])
def test_a_body_of_33_megabytes_is_413(server: Server, bearer: str, size: int) -> None:
    status, headers, body = server.ask(
        "POST", "/fhir/Patient", b" " * size, Authorization=bearer, Content_Type="application/fhir+json"
    )

    assert status == 413
    assert json.loads(body)["resourceType"] == "OperationOutcome"  # noqa: TID251  a check from outside
    assert headers["content-type"].startswith("application/fhir+json")


def test_a_body_that_never_ends_is_cut_off(server: Server, bearer: str) -> None:
    """Chunked, so that no length announces it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": bearer, "Content-Type": "application/fhir+json"}
    try:
        connection.request(
            "POST", "/fhir/Patient", (b" " * 1_000_000 for _ in range(200)), headers, encode_chunked=True
        )
        status = connection.getresponse().status
    except (ConnectionError, BrokenPipeError):
        status = 413
    finally:
        connection.close()

    assert status == 413
    assert server.ask("GET", "/healthz")[0] == 200


def test_a_bomb_is_413_and_the_connection_stays_whole(server: Server, bearer: str) -> None:
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packing.compress(b" " * 1_000_000) for _ in range(100)]) + packing.flush()
    headers = {"Authorization": bearer, "Content-Type": "application/fhir+json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", "/fhir/Patient", bomb, {**headers, "Content-Encoding": "gzip"})
        refused = connection.getresponse()
        assert (refused.status, json.loads(refused.read())["resourceType"]) == (413, "OperationOutcome")  # noqa: TID251  a check from outside
        connection.request("GET", "/fhir/Patient/nobody", None, headers)
        assert connection.getresponse().status == 404
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/fhir/metadata", "/fhir/metadata?_pretty=true", "/fhir/Patient/somebody"])
def test_lengths_are_right_on_the_wire(server: Server, bearer: str, path: str) -> None:
    """One connection for all: a length that is wrong would make rubbish of the next answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        for encoding in ("gzip", "identity"):
            lengths = []
            for method, tag in (("GET", ""), ("HEAD", ""), ("GET", "*"), ("HEAD", "*"), ("GET", "")):
                headers = {"Authorization": bearer, "Accept-Encoding": encoding}
                connection.request(method, path, None, {**headers, "If-None-Match": tag} if tag else headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 304 or method == "HEAD":
                    assert body == b""
                else:
                    whole = gzip.decompress(body) if answer.headers.get("Content-Encoding") else body
                    assert json.loads(whole)["resourceType"]  # noqa: TID251  a check from outside
                if answer.status == 200:
                    lengths.append(answer.headers["Content-Length"])
            assert len(set(lengths)) == 1
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/./Patient/somebody",
        "/fhir/Observation/../Patient/somebody",
        "/fhir/Observation/%2e%2e/Patient/somebody",
        "/fhir//Patient/somebody",
        "//fhir/Patient/somebody",
        "http://evil.example/fhir/Patient/somebody%2f..",
        "/fhir/Patient/somebody%00",
        "/fhir/Patient/somebody%0d%0aX-Injected:1",
        "/fhir/Patient/somebody/_history/%D9%A1",
        "/fhir\\Patient\\somebody",
        "*",
    ],
)
def test_a_crooked_path_leads_nowhere(server: Server, bearer: str, path: str) -> None:
    answer = server.send(request("GET", path, f"Authorization: {bearer}"))

    assert status_of(answer) in {400, 404}
    assert MARK.encode() not in answer
    assert b"x-injected" not in answer.lower().partition(b"\r\n\r\n")[0]


def test_two_authorization_headers_are_refused(server: Server, bearer: str) -> None:
    for pair in ((bearer, "Bearer x"), ("Bearer x", bearer), (bearer, bearer)):
        answer = server.send(request("GET", "/fhir/Patient/somebody", *(f"Authorization: {one}" for one in pair)))
        assert status_of(answer) == 401


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Request-Id: a\r\nX-Injected: yes",),
        ("X-Request-Id: a\x01b",),
        ("X-Request-Id: " + "a" * 30_000,),
    ],
)
def test_a_request_id_injects_nothing(server: Server, bearer: str, headers: tuple[str, ...]) -> None:
    answer = server.send(request("GET", "/fhir/Patient/nobody", f"Authorization: {bearer}", *headers))

    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert status_of(answer) in {400, 404, 431}
    assert b"x-injected" not in head
    assert b"\x01" not in head


@pytest.mark.parametrize(
    "raw",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 4", "Content-Length: 60"),
        ("Content-Length: -1",),
        ("Content-Length: +4",),
        ("Content-Length: 0x4",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length: 4\r\n : 5",),
    ],
)
def test_a_request_that_is_two_is_not_answered_twice(server: Server, bearer: str, raw: tuple[str, ...]) -> None:
    """RFC 9112 section 6.3: where the length of a body is in doubt, what follows is not a request."""
    smuggled = request("GET", "/fhir/Patient/somebody", f"Authorization: {bearer}")
    body = b"0\r\n\r\n" + smuggled

    answer = server.send(
        request(
            "POST", "/fhir/Patient", f"Authorization: {bearer}", "Content-Type: application/fhir+json", *raw, body=body
        )
    )

    assert MARK.encode() not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert server.ask("GET", "/healthz")[0] == 200


def test_a_body_shorter_than_announced_stores_nothing(server: Server, bearer: str) -> None:
    body = b'{"resourceType":"Patient"}'
    answer = server.send(
        request(
            *("POST", "/fhir/Patient", f"Authorization: {bearer}", "Content-Type: application/fhir+json"),
            "Content-Length: 500",
            body=body,
        )
    )

    assert status_of(answer) in {0, 400}


def test_the_server_does_not_say_what_it_is_made_of(server: Server) -> None:
    _, headers, _ = server.ask("GET", "/healthz")

    assert "server" not in headers
    assert "x-powered-by" not in headers


def test_even_the_most_talkative_log_names_nobody(server: Server, bearer: str) -> None:
    """Whom a request was about stands in the audit log, sealed, and not in a log file: ids are personal data too."""
    server.ask("GET", "/fhir/Patient/somebody", Authorization=bearer)
    server.ask("GET", "/fhir/Patient?family=somebody&_id=somebody", Authorization=bearer)
    server.ask("GET", "/fhir/Patient?birthdate=somebody", Authorization=bearer)  # refused, and told as little
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    server.ask("POST", "/fhir/Patient/_search?name=somebody", b"family=somebody", Authorization=bearer, **form)

    assert "somebody" not in server.log.read_text()
