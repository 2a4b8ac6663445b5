"""From a lot to everybody who was given of it, and from a patient to the lots they were given.

Requirements S19, B12, M10; Code de la santé publique art. R. 5212-41: both ways, with product, lot, manufacturer,
place, date and who used it.
"""

import asyncio
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from fhir_server.consent.facts import facts_of
from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.gathering import Gathered, gathered, opened
from fhir_server.injectables.products import TYPES, Product, contained, product_of, referred
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.types.escapes import escape
from fhir_server.smart.access import reaches_all

SECONDS = 60.0
_TOGETHER = 20
_LONGEST_LOT = 100
_PATIENT = "Patient/"


@dataclass(frozen=True, slots=True)
class Kind:
    refers: Mapping[str, str]
    not_given: frozenset[str]


@dataclass(frozen=True, slots=True)
class Use:
    """Something that was done with products of a lot. `patient`: the id of to whom, empty where that is not one."""

    stored: Stored
    patient: str
    products: tuple[Product, ...]

    @property
    def when(self) -> str:
        """As it stands: a dateTime, or the start of a Period. Empty where it is not said."""
        said = next(iter(facts_of(self.stored.resource).when), "")
        return str(said.get("start", "")) if isinstance(said, dict) else str(said)

    @property
    def who(self) -> tuple[str, ...]:
        return tuple(sorted(str(key) for key in facts_of(self.stored.resource).authors or () if key is not None))

    @property
    def where(self) -> str:
        return str(self.stored.resource.get("location", {}).get("reference", ""))


@dataclass(frozen=True, slots=True)
class Traced:
    """`complete`: nothing that is stored here was out of the caller's reach. `withheld`: how many were not shown."""

    uses: tuple[Use, ...]
    withheld: int = 0
    complete: bool = True

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(sorted({use.patient for use in self.uses if use.patient}))


@dataclass(frozen=True, slots=True)
class Wanted:
    """`product`: a code, UDI-DI or identifier, where two products may have the same lot; else empty."""

    lot: str
    product: str = ""

    def __post_init__(self) -> None:
        if not self.lot.strip() or max(len(self.lot), len(self.product)) > _LONGEST_LOT:
            raise InvalidRequestError(f"lot is the number of a lot, of at most {_LONGEST_LOT} characters.")

    def means(self, product: Product) -> bool:
        return product.is_of(self.lot) and product.may_be(self.product)


class Lots:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def patients(self, call: Call, wanted: Wanted) -> Traced:
        """Everybody who was given of a lot. Recorded with each of them."""
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, id=None)

        async def once(attempt: Attempt) -> Traced:
            await self._engine.steps.admit(call)
            traced = await self.found(call, wanted)
            attempt.disclosed.extend(use.stored for use in traced.uses)
            return traced

        return await disclosing(self._engine.steps, asking, once)

    async def found(self, call: Call, wanted: Wanted) -> Traced:
        """The same, for the caller to have recorded."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._found(call, wanted)
        except TimeoutError:
            raise TooCostlyError("The lot could not be followed in time; nothing of it is told.") from None

    async def _found(self, call: Call, wanted: Wanted) -> Traced:
        lot = (("lot-number", escape(wanted.lot.strip())),)
        found = [await gathered(self._engine, call, type, lot) for type in sorted(TYPES)]
        bare = [one for each in found for one in each.found]
        products = {str(one.key): product_of(one.resource, str(one.key)) for one in bare}
        meant = [reference for reference, product in products.items() if wanted.means(product)]
        for type, kind in _kinds().items():
            if type not in TYPES:
                found.append(await gathered(self._engine, call, type, lot))
            found += [await gathered(self._engine, call, type, pairs) for pairs in _naming(kind, meant)]
        uses = {use.stored.key: use for each in found for one in each.found if (use := _use(one, products, wanted))}
        withheld = _withheld(found)
        whole = all(reaches_all(call, type) for type in {*TYPES, *_kinds()})
        ordered = sorted(uses.values(), key=lambda use: (use.when, str(use.stored.key)))
        return Traced(tuple(ordered), withheld, complete=whole and not withheld)

    async def of_patient(self, call: Call) -> Traced:
        """What the patient of the call was given, of every lot. A product without a lot is told too."""
        id = str(call.id)
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type="Procedure", id=None)

        async def once(attempt: Attempt) -> Traced:
            await self._engine.steps.admit(call)
            attempt.disclosed.append(await self._engine.look(call))
            searches = [
                await gathered(self._engine, call, type, (("patient", f"{_PATIENT}{id}"),)) for type in _kinds()
            ]
            done = [one for each in searches for one in each.found if _was_given(one)]
            named = await opened(self._engine, call, sorted({key for one in done for key in referred(one.resource)}))
            products = {str(one.key): product_of(one.resource, str(one.key)) for one in (*named.found, *done)}
            uses = [use for one in done if (use := _use(one, products))]
            attempt.disclosed.extend(use.stored for use in uses)
            return _told(uses, (*searches, named))

        return await disclosing(self._engine.steps, asking, once)


def _told(uses: Sequence[Use], looked: Sequence[Gathered]) -> Traced:
    withheld = _withheld(looked)
    return Traced(tuple(sorted(uses, key=lambda use: (use.when, str(use.stored.key)))), withheld, complete=not withheld)


def _withheld(looked: Sequence[Gathered]) -> int:
    return len(frozenset[ResourceKey]().union(*(each.withheld for each in looked)))


def _naming(kind: Kind, products: Sequence[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Searches by the products, some at a time."""
    for product, parameter in kind.refers.items():
        named = [one for one in products if one.startswith(f"{product}/")]
        for start in range(0, len(named), _TOGETHER):
            yield ((parameter, ",".join(named[start : start + _TOGETHER])),)


def _use(stored: Stored, products: Mapping[str, Product], wanted: Wanted | None = None) -> Use | None:
    """None for what was not given, to nobody, or of another lot."""
    resource, reference = stored.resource, str(stored.key)
    named = sorted(str(key) for key in referred(resource) | ({stored.key} if stored.key.type == "Device" else set()))
    its = [*contained(resource, reference), *(products[one] for one in named if one in products)]
    meant = tuple(one for one in its if wanted is None or wanted.means(one))
    recipient = str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))
    # Who stands behind a Group is not known here: the use is told all the same, and without a patient.
    patient = recipient.removeprefix(_PATIENT) if recipient.startswith(_PATIENT) else ""
    return Use(stored, patient, meant) if meant and recipient and _was_given(stored) else None


def _was_given(stored: Stored) -> bool:
    kind = _kinds().get(stored.key.type)
    return kind is not None and stored.resource.get("status") not in kind.not_given


@cache
def _kinds() -> Mapping[str, Kind]:
    read = tomllib.loads(files("fhir_server.injectables").joinpath("uses.toml").read_text())
    return {type: Kind(one["refers"], frozenset(one["not_given"])) for type, one in read.items()}
