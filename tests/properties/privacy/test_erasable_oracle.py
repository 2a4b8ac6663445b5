"""What may be erased against a slow oracle that counts days; and what must hold whatever the data say."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.crypto.keys import KeyClass
from fhir_server.privacy.erasable import Entry, Erase, Keep, anniversary, verdicts
from fhir_server.privacy.retention import CLASSES, Age, Pack, Rule, Start

DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))
TYPES, TAGS = ("Procedure", "Device"), ("blood-derived", "mental-health")
ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from(CLASSES), st.sampled_from(TYPES), DAYS, st.frozensets(st.sampled_from(TAGS))),
    max_size=8,
)
RULES = st.builds(
    Rule,
    st.uuids().map(str),
    st.sampled_from(CLASSES),
    st.just("a source"),
    st.integers(0, 40),
    st.sampled_from(Start),
    st.frozensets(st.sampled_from(TYPES)),
    st.sampled_from(("", *TAGS)),
    st.sampled_from(((), (Age(18, 28),), (Age(17, 25), Age(18, 26)))),
)
PACKS = st.lists(RULES, max_size=6).map(lambda rules: Pack("test", tuple(rules)))
BORN = st.none() | DAYS


def years_old(born: date, day: date) -> int:
    """As people count it; who was born on 29 February is a year older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def still_kept(rule: Rule, entries: list[Entry], born: date | None, today: date) -> bool | None:
    """None where the rule is about nothing that is there."""
    mine = [each for each in entries if each.record == rule.record]
    mine = [each for each in mine if each.type in rule.types] if rule.types else mine
    mine = [each for each in mine if rule.tag in each.tags] if rule.tag else mine
    if not mine:
        return None
    care = [each.day for each in entries if each.record == KeyClass.RECORD]
    began = max(care) if rule.start is Start.LAST_CARE and care else max(each.day for each in mine)
    if years_old(began, today) < rule.years:
        return True
    born = began if born is None or born > began else born
    for age in rule.ages:
        if years_old(born, began) < age.under:
            return years_old(born, today) < age.until
    return False


@settings(max_examples=400, deadline=None)
@given(ENTRIES, PACKS, DAYS, BORN)
def test_it_decides_as_the_oracle_does(entries: list[Entry], pack: Pack, today: date, born: date | None) -> None:
    found = {verdict.record: verdict for verdict in verdicts(entries, pack, (), today, born)}

    assert found.keys() == {entry.record for entry in entries}
    for record, verdict in found.items():
        said = [still_kept(rule, entries, born, today) for rule in pack.rules if rule.record == record]
        about = [one for one in said if one is not None]
        assert isinstance(verdict, Erase) is (bool(about) and not any(about))


@settings(max_examples=150, deadline=None)
@given(ENTRIES, PACKS, DAYS, BORN, st.integers(1, 20_000))
def test_time_only_ever_frees_and_the_day_that_is_told_is_the_first(
    entries: list[Entry], pack: Pack, today: date, born: date | None, later: int
) -> None:
    now = verdicts(entries, pack, (), today, born)
    then = verdicts(entries, pack, (), today + timedelta(days=later), born)

    for before, after in zip(now, then, strict=True):
        if isinstance(before, Erase):
            assert isinstance(after, Erase)
        elif before.until:
            [on_it] = [v for v in verdicts(entries, pack, (), before.until, born) if v.record == before.record]
            [day_before] = [
                v
                for v in verdicts(entries, pack, (), before.until - timedelta(days=1), born)
                if v.record == before.record
            ]
            assert isinstance(on_it, Erase)
            assert isinstance(day_before, Keep)


@settings(max_examples=100, deadline=None)
@given(ENTRIES, PACKS, DAYS, BORN, st.sets(st.sampled_from(("Task/1", "Task/2")), min_size=1))
def test_a_hold_keeps_everything(
    entries: list[Entry], pack: Pack, today: date, born: date | None, holds: set[str]
) -> None:
    for verdict in verdicts(entries, pack, holds, today, born):
        assert isinstance(verdict, Keep)
        assert verdict.because in holds


@settings(max_examples=100, deadline=None)
@given(ENTRIES, RULES, PACKS, DAYS, BORN)
def test_one_more_rule_about_what_is_there_never_frees_more(
    entries: list[Entry], rule: Rule, pack: Pack, today: date, born: date | None
) -> None:
    more = Pack("more", (*pack.rules, rule))
    before = {v.record: v for v in verdicts(entries, pack, (), today, born)}

    for verdict in verdicts(entries, more, (), today, born):
        was = before[verdict.record]
        if isinstance(was, Keep) and was.until is not None:
            assert isinstance(verdict, Keep)


@given(DAYS, st.integers(0, 100))
def test_an_anniversary_is_that_day_or_1_march(day: date, years: int) -> None:
    found = anniversary(day, years)

    assert found.year == day.year + years
    assert (found.month, found.day) == (day.month, day.day) or ((day.month, day.day), found.month) == ((2, 29), 3)
