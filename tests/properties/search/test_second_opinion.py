"""Any search finds on MongoDB what a plain look at every resource finds, in the same order."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.search.oracle.asked import Compared, compared

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def both(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Compared]:
    async with compared(mongo_uri, "test_opinion", tmp_path_factory.mktemp("opinion"), patients=1) as found:
        yield found


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**40))
async def test_any_search_finds_what_looking_at_everything_finds(both: Compared, seed: int) -> None:
    await both.check(seed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=st.lists(st.integers(0, 2**40), min_size=2, max_size=12))
async def test_searches_asked_together_find_the_same(both: Compared, seeds: list[int]) -> None:
    await asyncio.gather(*(both.check(seed) for seed in seeds))


async def test_the_searches_are_worth_asking(both: Compared) -> None:
    """Of a hundred, many find something, and not everything."""
    found = [await both.check(seed) for seed in range(100)]

    assert sum(0 < each < 50 for each in found) > 30
