"""Whatever is written on either side, in whatever order: both agree after a round, and after that nobody writes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mappers.fhir_sync.authority import Rule, Side
from tests.mappers.two_sides import TwoSides

Json = dict[str, Any]
WORDS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.lists(st.builds(lambda word: {"system": f"urn:example:{word}", "value": word}, WORDS), max_size=2)
PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "birthDate": st.sampled_from(["1990", "1991-02"]),
        "gender": st.sampled_from(["female", "male"]),
        "name": st.lists(st.builds(lambda word: {"family": word}, WORDS), min_size=1, max_size=2),
        "telecom": st.lists(st.builds(lambda word: {"value": word}, WORDS), min_size=1, max_size=1),
        "deceasedBoolean": st.booleans(),
        "identifier": NUMBERS,
    },
)
APPOINTMENTS = st.fixed_dictionaries(
    {
        "resourceType": st.just("Appointment"),
        "status": st.sampled_from(["booked", "cancelled", "noshow"]),
        "participant": st.just([{"actor": {"display": "A room"}, "status": "accepted"}]),
    },
    optional={
        "start": st.sampled_from(["2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z"]),
        "comment": WORDS,
        "description": WORDS,
        "identifier": NUMBERS,
    },
)
SIDES = st.sampled_from(list(Side))


def steps(resources: st.SearchStrategy[Json]) -> st.SearchStrategy[list[tuple[Side, Json]]]:
    return st.lists(st.tuples(SIDES, resources), min_size=1, max_size=5)


def edited(sides: TwoSides, side: Side, resource: Json) -> None:
    """Somebody there writes it anew; what the sync wrote into it stays, as it would with a client that knows it not."""
    before = sides.at[side]
    kept = [one for one in (before or {}).get("identifier", ()) if "copy-of" in one["system"]]
    numbers = [*resource.get("identifier", ()), *kept]
    sides.put(side, {**resource, **({"identifier": numbers} if numbers else {})})


def require_agreed(sides: TwoSides) -> None:
    """What its owner says, the other side says too."""
    ours, theirs = sides.seen(Side.OURS), sides.seen(Side.THEIRS)
    for name in ours.keys() | theirs.keys():
        if sides.authority.rule(ours["resourceType"], name) is not Rule.OWNED:
            continue
        owner = sides.authority.owner(ours["resourceType"], name)
        said = (ours if owner is Side.OURS else theirs).get(name)
        assert said is None or ours.get(name) == theirs.get(name), name


@settings(max_examples=60)
@given(st.one_of(steps(PATIENTS), steps(APPOINTMENTS)), st.sampled_from([{}, {"language": "fr"}]))
def test_both_agree_after_a_round_and_nobody_writes_after_it(given: list[tuple[Side, Json]], habit: Json) -> None:
    sides = TwoSides(habit=habit)
    for side, resource in given:
        edited(sides, side, resource)
        sides.round()
        before = sides.writes
        if not habit:
            require_agreed(sides)

        sides.round()
        after = sides.writes
        sides.round()

        # A habit of theirs may be news to us once.
        assert after - before <= (1 if habit else 0)
        assert sides.writes == after
        require_agreed(sides)


@settings(max_examples=40)
@given(st.lists(st.tuples(SIDES, PATIENTS, st.booleans()), min_size=1, max_size=6))
def test_how_often_is_looked_changes_nothing_of_where_it_ends(given: list[tuple[Side, Json, bool]]) -> None:
    """The owner's last word is on both sides, however many of its words were missed."""
    sides = TwoSides()
    for side, resource, looks in given:
        edited(sides, side, resource)
        if looks:
            sides.round()
    sides.round()

    last = next((resource for side, resource, _ in reversed(given) if side is Side.THEIRS), None)
    if last is not None:
        for name in last.keys() - {"identifier"}:
            assert sides.seen(Side.OURS)[name] == last[name]
