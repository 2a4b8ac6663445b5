"""A token that was seen costs next to nothing; and the load of services is one that a server has to believe."""

import base64
from urllib.parse import parse_qs

from benchmarks import tokens
from benchmarks.load import Window
from fhir_server.kernel import json
from fhir_server.smart.clients.key_pair import new_private_jwk


def test_a_token_that_was_seen_costs_what_it_may_and_far_less() -> None:
    found = tokens.seen_token()

    assert found.kept
    assert found.value > 0


def test_every_request_is_signed_for_the_server_and_good_once() -> None:
    services = [tokens.Service(name, new_private_jwk("ES384")) for name in ("a", "b")]

    asked = list(tokens._requests(7, services, 4))

    forms = [parse_qs(one.partition(b"\r\n\r\n")[2].decode()) for one in asked]
    assert [len(one.partition(b"\r\n\r\n")[2]) for one in asked] == [
        int(one.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]) for one in asked
    ]
    claims = [_claims(form["client_assertion"][0]) for form in forms]
    assert [one["iss"] for one in claims] == ["a", "b", "a", "b"]
    assert {one["aud"] for one in claims} == {"http://127.0.0.1:7/auth/token"}
    assert len({one["jti"] for one in claims}) == 4


def _claims(signed: str) -> dict[str, object]:
    part = signed.split(".")[1]
    found: dict[str, object] = json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_what_is_asked_for_is_a_rate_and_what_is_kept_the_time_of_one() -> None:
    windows = [
        Window(2.0, done, (0.01, 0.02, 0.03), {"server": 0.375, "database": 0.125}, 0.0)
        for done in (300.0, 500.0, 600.0)
    ]

    each, spent, waited = tokens._figures("RS384", windows)

    assert (each.value, each.allowed, each.kept) == (4.0, 5.0, True)
    assert "250 tokens a second" in each.says
    assert spent.value == 1.0
    assert waited.value == 20.0
