"""What is told of requests: counts and times by kind, on a listener of its own, and nothing of anybody."""

from datetime import UTC, datetime
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fhir_server.api.metrics import Metrics, note
from fhir_server.api.middleware import Envelope

pytestmark = pytest.mark.anyio

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
PORT = 9_464


def scope(path: str = "/fhir/Patient/p1", **more: Any) -> Scope:
    return {"type": "http", "path": path, "state": {}, **more}


def counted(*seconds: float, status: int = 200) -> Metrics:
    metrics = Metrics(PORT, STARTED)
    for one in seconds:
        asked = scope()
        note(asked, "read")
        metrics.answered(asked, status, one)
    return metrics


def test_each_bucket_counts_the_faster_ones_too() -> None:
    lines = counted(0.001, 0.005, 0.02, 60.0).text().splitlines()

    assert 'fhir_server_request_duration_seconds_bucket{interaction="read",le="0.005"} 2' in lines
    assert 'fhir_server_request_duration_seconds_bucket{interaction="read",le="0.025"} 3' in lines
    assert 'fhir_server_request_duration_seconds_bucket{interaction="read",le="10.0"} 3' in lines
    assert 'fhir_server_request_duration_seconds_bucket{interaction="read",le="+Inf"} 4' in lines
    assert 'fhir_server_request_duration_seconds_sum{interaction="read"} 60.026000' in lines
    assert 'fhir_server_request_duration_seconds_count{interaction="read"} 4' in lines


def test_the_start_of_the_process_is_told_as_prometheus_names_it() -> None:
    assert f"process_start_time_seconds {STARTED.timestamp():.3f}" in counted().text().splitlines()


@pytest.mark.parametrize(("path", "kind"), [("/auth/token", "auth"), ("/healthz", "other"), ("/fhir", "other")])
def test_what_is_no_interaction_is_counted_by_where_it_was(path: str, kind: str) -> None:
    metrics = Metrics(PORT, STARTED)

    metrics.answered(scope(path), 503, 0.1)

    assert f'fhir_server_requests_total{{interaction="{kind}",status="503"}} 1' in metrics.text().splitlines()


@pytest.mark.parametrize(
    ("port", "server", "asked"),
    [
        (PORT, ("127.0.0.1", PORT), True),
        (PORT, ("127.0.0.1", 8000), False),
        (PORT, None, False),
        (0, ("127.0.0.1", 0), False),
        (0, None, False),
    ],
)
def test_the_socket_decides_whether_metrics_are_asked_for(port: int, server: Any, *, asked: bool) -> None:
    assert Metrics(port, STARTED).is_asked(scope(server=server)) is asked


async def _answering(scope: Scope, receive: Receive, send: Send) -> None:
    note(scope, "read")
    await Response("Lefevre")(scope, receive, send)


async def test_s_93_the_listener_of_metrics_tells_them_and_nothing_else() -> None:
    app = Envelope(_answering, hsts=False, metrics=Metrics(PORT, STARTED), fhir=lambda: None, cors=lambda: None)

    def client(port: int) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(app), base_url=f"http://127.0.0.1:{port}")

    async with client(8000) as public, client(PORT) as own:
        await public.get("/fhir/Patient/lefevre?name=Lefevre")
        told = await own.get("/metrics")
        others = [(await own.get("/fhir/Patient/lefevre")).status_code, (await own.post("/metrics")).status_code]
        on_the_public_one = await public.get("/metrics")

    assert 'fhir_server_requests_total{interaction="read",status="200"} 1' in told.text.splitlines()
    assert "fhir_server_requests_in_progress 0" in told.text.splitlines()
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "efevre" not in told.text
    assert others == [404, 404]
    assert on_the_public_one.text == "Lefevre"  # whatever the application says at that address
