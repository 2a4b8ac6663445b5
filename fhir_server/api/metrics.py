"""How many requests of each kind were answered, how, and how soon: for whoever watches over availability.

https://prometheus.io/docs/instrumenting/exposition_formats/; row S93.

A kind is one of FHIR's interactions; nothing counted here says who asked, or about what. It is told on a listener of
its own, on loopback, where nothing else is answered.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KIND = "interaction"
_REQUESTS, _SECONDS = "fhir_server_requests_total", "fhir_server_request_duration_seconds"
_UNDER_WAY, _STARTED = "fhir_server_requests_in_progress", "process_start_time_seconds"


def note(scope: Scope, kind: str) -> None:
    """What kind of request it turned out to be."""
    scope.setdefault("state", {})[_KIND] = kind


class Metrics:
    """Of one process. `port`: its listener's, which the server's own may not have; 0 for none."""

    def __init__(self, port: int, started: datetime) -> None:
        self._port, self._started = port, started
        self._answers: Counter[tuple[str, int]] = Counter()
        self._spread: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self.under_way = 0

    def is_asked(self, scope: Scope) -> bool:
        """By the socket that the request came in on: no header has a say in it."""
        return self._port != 0 and (scope.get("server") or ("", 0))[1] == self._port

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Up to the first byte of the answer; how fast the client takes the others is its own affair."""
        kind = scope["state"].get(_KIND) or ("auth" if scope["path"].startswith("/auth/") else "other")
        self._answers[kind, status] += 1
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
        self._spread.setdefault(kind, [0] * (len(_BOUNDS) + 1))[bisect_left(_BOUNDS, seconds)] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"}
        response = Response(self.text(), media_type=_TEXT) if is_ours else Response(status_code=404)
        await response(scope, receive, send)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _head(_REQUESTS, "counter", "Requests by FHIR interaction and HTTP status.")
        for (kind, status), count in sorted(self._answers.items()):
            yield f'{_REQUESTS}{{interaction="{kind}",status="{status}"}} {count}'
        yield from _head(_SECONDS, "histogram", "Seconds until an answer began, by FHIR interaction.")
        for kind, counts in sorted(self._spread.items()):
            yield from _histogram(kind, counts, self._seconds[kind])
        yield from _head(_UNDER_WAY, "gauge", "Requests that are being answered.")
        yield f"{_UNDER_WAY} {self.under_way}"
        yield from _head(_STARTED, "gauge", "When this process began to serve, in seconds since 1970.")
        yield f"{_STARTED} {self._started.timestamp():.3f}"


def _head(name: str, type: str, about: str) -> Sequence[str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {type}"


def _histogram(kind: str, counts: Sequence[int], seconds: float) -> Iterator[str]:
    """Each bucket counts what is in the smaller ones too."""
    so_far = 0
    for bound, count in zip((*_BOUNDS, "+Inf"), counts, strict=True):
        so_far += count
        yield f'{_SECONDS}_bucket{{interaction="{kind}",le="{bound}"}} {so_far}'
    yield f'{_SECONDS}_sum{{interaction="{kind}"}} {seconds:.6f}'
    yield f'{_SECONDS}_count{{interaction="{kind}"}} {so_far}'
