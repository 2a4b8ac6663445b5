"""`:below`, `:above`, `:in` and `:not-in` on a clinic in memory: by the definitions that are kept there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.conditional import Conditional
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.terms import MOST_CODES, MOST_DEFINITIONS
from fhir_server.export.asked import Asked
from fhir_server.export.job import Job
from fhir_server.export.selection import Selection
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.smart.access import Access
from fhir_server.subscriptions.asked import criteria
from fhir_server.subscriptions.holder import Holder
from fhir_server.subscriptions.looking import Looking
from fhir_server.subscriptions.ports import Place, Progress
from fhir_server.subscriptions.subscriber import Subscriber
from tests.fakes.clinic import BASE
from tests.fakes.clock import NOW
from tests.unit.engine.calls import SYSTEM, Running, call, holder
from tests.unit.engine.connected import Hiding, filled, resource
from tests.unit.engine.test_chains import found
from tests.unit.search.test_code_systems import refused

pytestmark = pytest.mark.anyio

S, VS = "urn:body", "urn:vs"
CODES = ("Body", "Face", "lip", "cheek", "arm")


def observed(id: str, *codings: Json) -> Json:
    about = {"subject": {"reference": "Patient/ann"}, "code": {"coding": [*codings], "text": id}}
    return resource("Observation", id, status="final", **about)


def body(id: str = "s", **elements: object) -> Json:
    face = {"code": "Face", "concept": [{"code": "lip"}, {"code": "cheek"}]}
    concepts = [{"code": "Body", "concept": [face, {"code": "arm"}]}]
    stated = {"url": S, "status": "active", "content": "complete", "hierarchyMeaning": "is-a", "concept": concepts}
    return resource("CodeSystem", id, **{**stated, **elements})


def value_set(*include: Json, id: str = "vs", **elements: object) -> Json:
    compose = {"include": [*include], "exclude": elements.pop("exclude", [])}
    return resource("ValueSet", id, **{"url": VS, "status": "active", "compose": compose, **elements})


def a(operator: str, value: str) -> Json:
    return {"system": S, "filter": [{"property": "concept", "op": operator, "value": value}]}


def named(*codes: str) -> Json:
    return {"system": S, "concept": [{"code": code} for code in codes]}


OBSERVED = [
    *(observed(code.lower(), {"system": S, "code": code}) for code in CODES),
    observed("lip-elsewhere", {"system": "urn:other", "code": "lip"}),
    observed("none"),
]
EVERY = [code.lower() for code in CODES] + ["lip-elsewhere", "none"]


async def clinic(*definitions: Json, plain: bool = True) -> Running:
    """With what was observed of Ann."""
    kept = [body()] if plain else []
    return await filled(more=[*kept, *definitions, *OBSERVED])


async def observations(at: Running, *asked: str) -> list[str]:
    return [id for id in await found(at, "Observation", *asked) if id in EVERY]


async def refusal(
    at: Running, asked: str, kind: type[InvalidRequestError | TooCostlyError] = InvalidRequestError
) -> str:
    with pytest.raises(kind) as refused:
        await found(at, "Observation", asked)
    return refused.value.issues[0].diagnostics


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (f"code:below={S}|Face", ["face", "lip", "cheek"]),
        (f"code:below={S}|face", ["face", "lip", "cheek"]),
        (f"code:above={S}|lip", ["body", "face", "lip"]),
        (f"code:below={S}|arm,{S}|lip", ["lip", "arm"]),
        (f"combo-code:below={S}|Face", ["face", "lip", "cheek"]),
        (f"_has:AuditEvent:entity:_id=x&code:below={S}|Face", []),
    ],
)
async def test_a_code_stands_for_what_lies_under_it_or_above_it(asked: str, expected: list[str]) -> None:
    assert await observations(await clinic(), *asked.split("&")) == expected


async def test_the_modifiers_work_in_chains_and_has() -> None:
    at = await clinic(value_set(a("is-a", "Face")))

    assert await found(at, "Patient", f"_has:Observation:patient:code:below={S}|Face") == ["ann"]
    assert await found(at, "Patient", f"_has:Observation:patient:code:in={VS}") == ["ann"]
    assert await found(at, "DiagnosticReport", f"result.code:below={S}|Face") == []
    assert "urn:no" in await refusal(at, "patient._has:Observation:patient:code:below=urn:no|1")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ([], "No active CodeSystem urn:body"),
        ([body(status="draft")], "No active CodeSystem"),
        ([body(status="retired")], "No active CodeSystem"),
        ([body(content="fragment")], "not complete"),
        ([body(hierarchyMeaning="part-of")], "hierarchyMeaning"),
        ([body("s"), body("t")], "their dates do not tell which"),
        ([body("s", date="2024"), body("t", date="2024-03-01")], "their dates do not tell which"),
    ],
)
async def test_what_cannot_be_told_is_refused_and_never_an_empty_answer(kept: list[Json], told: str) -> None:
    assert told in await refusal(await clinic(*kept, plain=False), f"code:below={S}|Face")


async def test_of_several_code_systems_that_of_the_latest_date_counts() -> None:
    flat: list[Json] = [{"code": "Face"}]
    at = await clinic(
        body("s", date="2024-03-01"), body("t", date="2023", concept=flat), body("u", status="draft"), plain=False
    )

    assert await observations(at, f"code:below={S}|Face") == ["face", "lip", "cheek"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (value_set(named("lip", "arm")), ["lip", "arm"]),
        (value_set({"system": S}), [code.lower() for code in CODES]),
        (value_set({"system": S}, exclude=[named("lip")]), ["body", "face", "cheek", "arm"]),
        (value_set(a("is-a", "Face")), ["face", "lip", "cheek"]),
        (value_set(a("descendent-of", "Face")), ["lip", "cheek"]),
        (value_set(a("=", "arm"), {"system": "urn:other"}), ["arm", "lip-elsewhere"]),
        (
            value_set({**a("is-a", "Face"), "filter": [*a("is-a", "Face")["filter"], *a("is-a", "lip")["filter"]]}),
            ["lip"],
        ),
        (value_set(a("is-a", "Body"), exclude=[a("is-a", "Face")]), ["body", "arm"]),
        (value_set({"system": "urn:nothing"}, exclude=[{"system": "urn:nothing"}]), []),
    ],
)
async def test_a_value_set_is_what_it_includes_without_what_it_excludes(given: Json, expected: list[str]) -> None:
    at = await clinic(given)

    assert await observations(at, f"code:in={VS}") == expected
    assert await observations(at, "code:in=ValueSet/vs") == expected
    assert await observations(at, f"code:in={BASE}/ValueSet/vs") == expected
    assert await observations(at, f"code:not-in={VS}") == [each for each in EVERY if each not in expected]


async def test_value_sets_are_made_of_value_sets() -> None:
    at = await clinic(
        value_set({"valueSet": ["urn:face"]}, {**named("arm"), "valueSet": ["urn:face|1"]}),
        value_set(a("is-a", "Face"), id="face", url="urn:face", version="1", date="2020"),
        value_set({"system": S, "valueSet": ["urn:face", VS], "version": "2"}, id="both", url="urn:both"),
        body("s2", version="2", date="2019", concept=[{"code": "cheek"}]),
        value_set({"system": S, "valueSet": ["urn:both"]}, id="outer", url="urn:outer"),
        body("s", date="2020"),
        plain=False,
    )

    assert await observations(at, f"code:in={VS}") == ["face", "lip", "cheek"]
    assert await observations(at, "code:in=urn:outer") == ["cheek"]
    assert await observations(at, f"code:in={VS},urn:face|1") == ["face", "lip", "cheek"]
    assert "urn:face|2" in await refusal(at, "code:in=urn:face|2")


async def test_a_value_set_without_a_compose_is_its_expansion() -> None:
    inner = [{"system": S, "code": "lip", "contains": [{"system": S, "code": "arm"}]}, {"display": "a heading"}]
    contains = [{"system": S, "code": "face", "abstract": True, "contains": inner}]
    given = value_set(expansion={"total": 4, "contains": contains})
    del given["compose"]

    assert await observations(await clinic(given), f"code:in={VS}") == ["lip", "arm"]
    for partial in (
        {"total": 5},
        {"offset": 1},
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-toocostly", "valueBoolean": True}]},
    ):
        at = await clinic({**given, "expansion": {"contains": contains, **partial}})
        assert "does not list all" in await refusal(at, f"code:in={VS}")
    del given["expansion"]
    assert "neither a compose nor an expansion" in await refusal(await clinic(given), f"code:in={VS}")


async def test_the_value_sets_that_r4_lists_itself_need_not_be_kept() -> None:
    listed = "http://hl7.org/fhir/ValueSet/condition-clinical"
    active = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
    ill = [
        resource("Condition", "known", subject={"reference": "Patient/ann"}, clinicalStatus=active),
        resource("Condition", "unknown", subject={"reference": "Patient/ann"}),
    ]
    at = await clinic(*ill)

    assert await found(at, "Condition", f"clinical-status:in={listed}") == ["known"]
    assert await found(at, "Condition", f"clinical-status:not-in={listed}|4.0.1") == ["unknown"]
    with refused("No active ValueSet"):
        await found(at, "Condition", f"clinical-status:in={listed}|3.0")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (value_set(status="draft"), "No active ValueSet"),
        (value_set({"valueSet": [VS]}), "made of itself"),
        (value_set({"valueSet": ["ValueSet/vs"]}), "made of itself"),
        (value_set({"valueSet": ["urn:missing"]}), "No active ValueSet urn:missing"),
        (
            value_set({"system": "urn:missing", "filter": a("is-a", "x")["filter"]}),
            "No active CodeSystem urn:missing",
        ),
        (value_set({"system": S, "version": "9"}), "No active CodeSystem"),
        (value_set(a("regex", ".*")), "the operator regex"),
        (value_set({}), "neither a system nor a ValueSet"),
        (value_set(compose={"lockedDate": "2020-01-01", "include": [named("lip")]}), "with lockedDate"),
        (value_set(compose={"inactive": False, "include": [named("lip")]}), "with inactive"),
    ],
)
async def test_a_value_set_whose_members_cannot_be_told_is_refused(given: Json, told: str) -> None:
    at = await clinic(given)

    assert told in await refusal(at, f"code:in={VS}")
    assert told in await refusal(at, f"code:not-in={VS}")


async def test_by_its_id_a_value_set_has_to_be_there_and_active() -> None:
    at = await clinic(value_set(named("lip"), status="retired"))

    for id in ("vs", "nothing"):
        assert f"No active ValueSet ValueSet/{id}" in await refusal(at, f"code:in=ValueSet/{id}")


async def test_a_set_beyond_the_limits_is_refused_and_never_cut() -> None:
    many = [f"c{number}" for number in range(MOST_CODES)]
    at = await clinic(value_set(named(*many)), value_set(named("lip", *many), id="more", url="urn:more"))
    assert await observations(at, f"code:in={VS}") == []
    assert "at most 2000 codes" in await refusal(at, "code:in=urn:more", TooCostlyError)

    links = [
        value_set({"valueSet": [f"urn:{n + 1}"]} if n < MOST_DEFINITIONS else named("lip"), id=f"v{n}", url=f"urn:{n}")
        for n in range(MOST_DEFINITIONS + 1)
    ]
    at = await clinic(*links)
    assert await observations(at, "code:in=urn:1") == ["lip"]
    assert "at most 32" in await refusal(at, "code:in=urn:0", TooCostlyError)

    same = [body(f"s{number}", date=f"2024-01-{number % 28 + 1:02}") for number in range(51)]
    assert "More than 50" in await refusal(await clinic(*same, plain=False), f"code:below={S}|lip", TooCostlyError)


async def test_a_question_means_the_same_for_everybody() -> None:
    """Definitions name no patient: the server reads them itself, whatever of them the caller may see."""
    hidden = [Hiding("CodeSystem/s", "ValueSet/vs"), Access(BASE)]
    at = await filled(*hidden, more=[body(), value_set(a("is-a", "Face")), *OBSERVED])
    ann = holder("patient/Observation.rs", patient="ann")

    assert await found(at, "CodeSystem", f"url={S}") == []
    assert await found(at, "Observation", f"code:below={S}|Face", principal=ann) == ["face", "lip", "cheek"]
    assert await found(at, "Observation", f"code:in={VS}", principal=ann) == ["face", "lip", "cheek"]


async def test_what_was_read_for_one_type_is_not_read_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    at = await clinic(value_set({"system": "urn:tags", "concept": [{"code": "x"}]}))
    asked: list[str] = []
    whole = at.clinic.resources.find

    async def find(query: Any, after: Any, limit: int) -> Any:
        asked.append(query.type)
        return await whole(query, after, limit)

    monkeypatch.setattr(at.clinic.resources, "find", find)
    queries = [parse(type, [("_tag:in", VS)], at.engine.language) for type in ("Patient", "Observation")]
    page = await at.engine.found(call(Interaction.SEARCH_SYSTEM, None), queries)

    assert page.matches == ()
    assert asked.count("ValueSet") == 1


async def test_a_condition_of_a_write_takes_the_modifiers() -> None:
    at = await clinic()
    conditional, create = Conditional(at.engine, delete_several=False), call(Interaction.CREATE, "Observation")
    another = {key: value for key, value in observed("x", {"system": S, "code": "cheek"}).items() if key != "id"}

    kept = await conditional.create(create, another, parse("Observation", [("code:below", f"{S}|arm")]))
    assert not kept.written
    with refused("urn:no"):
        await conditional.create(create, another, parse("Observation", [("code:below", "urn:no|arm")]))


async def test_an_export_takes_the_modifiers_and_fails_where_they_cannot_be_told() -> None:
    at = await clinic()
    asked = Asked("system", filters=(("Observation", f"code:below={S}|Face"), ("Condition", "code:below=urn:no|1")))
    job = Job("j", SYSTEM, "TREAT", asked, ("Observation", "Condition"), None, "", 0, NOW)
    calling = call(Interaction.OPERATION)

    selection = await Selection.of(at.engine, job, calling, "Observation")
    assert [one.key.id for one in (await cast_store(at).find(selection.query, None, 10)).matches] == [
        "face",
        "lip",
        "cheek",
    ]
    with refused("urn:no"):
        await Selection.of(at.engine, job, calling, "Condition")


def cast_store(at: Running) -> ResourceStore:
    return cast("ResourceStore", at.clinic.resources)


class Written:
    """The versions that a subscription looks at, and those that it noted."""

    def __init__(self, at: Running) -> None:
        self._at, self.noted = at, list[str]()

    async def since(self, type: str, seq: int, after: Place | None, limit: int) -> Sequence[Place]:
        rows = [each for each in self._at.clinic.memory.current.values() if each.key.type == type]
        return [Place(each.seq, each.key, each.version) for each in rows]

    async def open(self, places: Sequence[Place]) -> dict[Place, Any]:
        return {place: self._at.clinic.memory.current[place.key] for place in places}

    async def add(self, id: str, places: Sequence[Place], at: datetime) -> None:
        self.noted += [place.key.id for place in places]


async def test_a_subscription_takes_the_modifiers_and_is_in_error_where_they_cannot_be_told() -> None:
    at = await clinic()
    written: Any = Written(at)
    looking = Looking(at.engine, written, written)
    held = Holder(replace(SYSTEM, role="system"), "TREAT")

    def subscriber(text: str) -> Subscriber:
        asked: Any = type("Wanted", (), {"query": criteria(text, at.engine.language), "end": None})
        return Subscriber("1", 1, "active", asked, held, held, Progress(0, 0, 0, 0))

    await looking.look([subscriber(f"Observation?code:below={S}|Face")], NOW)
    assert written.noted == ["face", "lip", "cheek"]
    with refused("urn:no"):
        await looking.look([subscriber("Observation?code:below=urn:no|1")], NOW)
