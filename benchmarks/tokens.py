"""`python -m benchmarks.tokens`: what a token costs that was seen before, and how many a second services get.

About a minute; with `--quick` a few seconds, and then nothing is left. The page is `benchmarks/results/tokens.md`.
"""

import argparse
import asyncio
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from os import cpu_count
from pathlib import Path
from statistics import median
from time import process_time, time
from urllib.parse import urlencode

import uvloop
from joserfc import jwt
from joserfc.jwk import RSAKey, import_key

from benchmarks.connection import BenchmarkError
from benchmarks.deployment import Deployment, deployed, server_command
from benchmarks.load import Target, Window, measure, percentile
from benchmarks.report import standing_table
from benchmarks.standing import Standing
from fhir_server.kernel import json
from fhir_server.kernel.clock import SystemClock, instant
from fhir_server.kernel.json import Json
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from fhir_server.smart.oidc.signing_keys import SigningKey
from fhir_server.smart.token import Claims, Tokens

_PAGE = Path(__file__).parent / "results" / "tokens.md"
_ALGORITHMS = ("RS384", "ES384")
_SERVICES, _CLIENTS = 4, 16
"""Each service has an allowance of tokens a second: several, so that the server is measured and not that."""
_MOST_A_SECOND = 700
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CHECKS, _ROUNDS = 20_000, 9
_ALLOWED_MS, _ALLOWED_RATE = 0.05, 200


@dataclass(frozen=True, slots=True)
class Service:
    """A registered back end, and the private half of its key."""

    client_id: str
    key: Json


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokens", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short window: to see that it works")
    quick = parser.parse_args().quick
    seconds, rounds = (1.0, 1) if quick else (4.0, 3)
    found = [seen_token()]
    others: list[float] = []
    with deployed() as deployment, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for alg in _ALGORITHMS:
            services = _registered(deployment, alg)
            windows = [runner.run(_measured(deployment, services, seconds)) for _ in range(rounds)]
            others += [one.others / one.seconds for one in windows]
            found += _figures(alg, windows)
    page = _page(found, seconds, rounds, median(others))
    print(page)
    if not quick:
        _PAGE.write_text(page, encoding="utf-8")
    return 0


def seen_token() -> Standing:
    """Milliseconds of the processor, the median of some rounds: other programs play no part."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    issuer, base = "https://clinic.example", "https://clinic.example/fhir"
    numbers = count()
    tokens = Tokens(_OneKey(now), issuer, base, lambda: str(next(numbers)))
    scopes = ("openid", "launch/patient", "patient/*.rs", "user/Observation.cruds", "offline_access")
    token, _ = tokens.issue(Claims("somebody", "an app", scopes, timedelta(hours=1), grant="1", patient="1"), now)
    bearer, header = Bearer(tokens), f"Bearer {token}"
    bearer.authenticate(header, now)
    taken = []
    for _ in range(_ROUNDS):
        before = process_time()
        for _ in range(_CHECKS):
            bearer.authenticate(header, now)
        taken.append((process_time() - before) / _CHECKS * 1000)
    return Standing("a seen token", median(taken), "ms", _ALLOWED_MS, "per FHIR request; its grant is looked up apart")


class _OneKey:
    """As a process that knows one signing key."""

    def __init__(self, since: datetime) -> None:
        key = RSAKey.generate_key(2048)
        self._key = SigningKey(1, since, key.thumbprint(), key)

    def signing(self, now: datetime) -> SigningKey:
        return self._key

    def find(self, kid: object) -> RSAKey | None:
        return self._key.key if kid == self._key.kid else None


def _registered(deployment: Deployment, alg: str) -> list[Service]:
    """By the command that an administrator uses."""
    made = []
    with tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder:
        for number in range(_SERVICES):
            service = Service(f"{alg}-{number}", new_private_jwk(alg))
            keys = Path(folder, f"{number}.json")
            keys.write_bytes(json.encode(public_set(service.key)))
            words = ("clients", "add", service.client_id, "--kind", "backend", "--scope", "system/*.rs")
            command = (*server_command(), *words, "--jwks", str(keys))
            done = subprocess.run(
                command, env=dict(deployment.environment), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise BenchmarkError(done.stderr)
            made.append(service)
    return made


async def _measured(deployment: Deployment, services: list[Service], seconds: float) -> Window:
    warm_up = min(1.0, seconds / 2)
    most = int((seconds + warm_up) * _MOST_A_SECOND)
    asked = list(_requests(deployment.server.port, services, most))
    processes = {"server": deployment.server.pid, "database": deployment.mongod}
    return await measure(Target(deployment.server.port, iter(asked), 200), _CLIENTS, seconds, warm_up, processes)


def _requests(port: int, services: list[Service], most: int) -> Iterator[bytes]:
    """Signed before the window: making a signature is not the server's work. Each is good once."""
    keys = [import_key(service.key) for service in services]
    audience = f"http://127.0.0.1:{port}/auth/token"
    until = int(time()) + 290
    for number in range(most):
        service, key = services[number % len(services)], keys[number % len(services)]
        claims = {
            "iss": service.client_id,
            "sub": service.client_id,
            "aud": audience,
            "exp": until,
            "jti": secrets.token_hex(16),
        }
        alg = service.key["alg"]
        signed = jwt.encode({"alg": alg, "kid": service.key["kid"]}, claims, key, algorithms=[alg])
        form = {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion_type": _ASSERTION,
            "client_assertion": signed,
        }
        yield _post(port, urlencode(form).encode())


def _post(port: int, body: bytes) -> bytes:
    head = (
        f"POST /auth/token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    return head.encode() + body


def _figures(alg: str, windows: list[Window]) -> list[Standing]:
    rate = median(one.done / one.seconds for one in windows)
    spent = {
        who: median(one.processor[who] / max(one.done, 1e-9) for one in windows) * 1000
        for who in ("server", "database")
    }
    waited = median(percentile(one.latencies, 0.5) for one in windows)
    each = 1000 / max(rate, 1e-9)
    allowed = 1000 / _ALLOWED_RATE
    says = f"{rate:.0f} tokens a second for {_CLIENTS} at once; {_ALLOWED_RATE} are asked for"
    return [
        Standing(f"a service's token, {alg}", each, "ms", allowed, says),
        Standing(
            f"its processor time, {alg}",
            sum(spent.values()),
            "ms",
            None,
            f"{spent['server']:.1f} of the server, {spent['database']:.1f} of the database",
        ),
        Standing(f"its answer, {alg}", waited * 1000, "ms", None, "half of them came sooner"),
    ]


def _page(found: list[Standing], seconds: float, rounds: int, others: float) -> str:
    """`others`: processors that other programs used meanwhile."""
    return f"""# Tokens: the last run of `python -m benchmarks.tokens`

Server, database and load driver shared {cpu_count()} processors; Python {platform.python_version()}, {rounds} times
{seconds:g} seconds a figure, each number the median of its rounds, {instant(SystemClock().now())[:10]}. Other programs
used {others:.1f} processors meanwhile (median).

{standing_table(found)}

A seen token is one whose signature this process has checked before. That its grant still holds is looked up for every
answer, together with those that are recorded with it, and is not counted here. A service's token is a whole request:
its signature is checked, its `jti` is used up in the database, the grant is written and the event recorded, all
durably, before the answer leaves. The signatures of the services were made before.
"""


if __name__ == "__main__":
    sys.exit(main())
