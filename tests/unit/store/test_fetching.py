"""A look that the database gives up on is an error, and not what was found until then."""

from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import ExecutionTimeout

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.store.fetching import fetch
from fhir_server.store.query_compiler import Compiled

pytestmark = pytest.mark.anyio


class Slow:
    """A collection that finds some rows in time, and for others takes too long."""

    def find(self, filter: Any, *_: object, **__: object) -> "Slow":
        self.filter = filter
        return self

    def sort(self, _: object) -> "Slow":
        return self

    def limit(self, _: int) -> "Slow":
        return self

    def max_time_ms(self, milliseconds: int) -> "Slow":
        assert milliseconds == 30_000
        return self

    async def to_list(self, _: None) -> list[Any]:
        if self.filter == "slow":
            raise ExecutionTimeout("operation exceeded time limit")
        return [{"_id": "Patient/ann", "seq": 1}]


@pytest.mark.parametrize("looks", [["slow"], ["quick", "slow"], ["slow", "quick"]])
async def test_a_look_that_takes_too_long_leaves_nothing_that_looks_whole(looks: list[Any]) -> None:
    collection: Any = Slow()
    compiled = Compiled(looks, [("seq", 1)], "tokens_seq", 1, is_whole_order=False)

    with pytest.raises(TooCostlyError, match="takes too long"):
        await fetch(collection, compiled, 10)

    quick: list[Any] = ["quick"]
    assert len(await fetch(collection, replace(compiled, filters=quick), 10)) == 1
