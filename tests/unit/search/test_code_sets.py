"""Sets of codes behave as sets, and what they are looked up by is necessary."""

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.types.codes import CodeSet, Some, TokenAmong
from fhir_server.search.types.kind import MOST_KEYWORDS
from fhir_server.search.types.token_text import TextValue
from fhir_server.search.types.token_values import TokenValue

SYSTEMS, CODES = ("urn:a", "urn:b", "urn:c"), ("1", "2", "3")
UNIVERSE = frozenset((system, code) for system in SYSTEMS for code in CODES)
SETS = st.recursive(
    st.builds(CodeSet.of, st.sampled_from(SYSTEMS), st.frozensets(st.sampled_from(CODES)))
    | st.builds(CodeSet.whole, st.sampled_from(SYSTEMS)),
    lambda inner: st.one_of(*(st.builds(how, inner, inner) for how in (CodeSet.both, CodeSet.either, CodeSet.without))),
    max_leaves=6,
)


def members(codes: CodeSet) -> frozenset[tuple[str, str]]:
    among = TokenAmong(codes)
    return frozenset(each for each in UNIVERSE if among.matches(TokenValue(*each)))


@given(SETS, SETS)
def test_sets_of_codes_are_joined_met_and_taken_away_as_sets_are(one: CodeSet, other: CodeSet) -> None:
    assert members(one.both(other)) == members(one) & members(other)
    assert members(one.either(other)) == members(one) | members(other)
    assert members(one.without(other)) == members(one) - members(other)


@given(SETS)
def test_what_is_among_the_codes_is_looked_up_by_one_of_them(codes: CodeSet) -> None:
    for group in TokenAmong(codes).cover():
        assert all(code in group for _, code in members(codes))
        assert group


def test_what_has_no_system_of_its_own_is_in_no_set() -> None:
    among = TokenAmong(CodeSet.of("urn:a", ["A"]).either(CodeSet.whole("")))

    assert among.matches(TokenValue("urn:a", "a"))
    assert not among.matches(TokenValue("", "a"))
    assert not among.matches(TokenValue("", "a", fixed=True))
    assert not among.matches(TokenValue("urn:a", ""))
    assert not among.matches(TokenValue("urn:a", "a", identifier=True))
    assert not among.matches(TextValue(("a",)))


def test_all_but_some_codes_are_looked_up_by_nothing() -> None:
    assert TokenAmong(CodeSet.whole("urn:a").without(CodeSet.of("urn:a", ["1"]))).cover() == ()
    assert TokenAmong(CodeSet()).cover() == ()


def test_many_codes_are_one_group_that_is_asked_for_late() -> None:
    few, many = (
        TokenAmong(CodeSet.of("urn:a", map(str, range(number)))) for number in (MOST_KEYWORDS - 1, 6 * MOST_KEYWORDS)
    )

    assert len(many.cover(1)[0]) == 6 * MOST_KEYWORDS
    assert few.breadth < many.breadth == 9
    assert Some().others().others() == Some()
