"""Of a body that is cut off, what arrived counts."""

from typing import Any

import pytest
from starlette.requests import Request

from fhir_server.api.uploads import body_of

pytestmark = pytest.mark.anyio


async def test_bytes_up_to_where_a_connection_broke_are_given() -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b"one", "more_body": True},
            {"type": "http.request", "body": b"", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(messages)

    request = Request({"type": "http", "method": "PATCH", "headers": []}, receive)

    assert [part async for part in body_of(request)] == [b"one"]
