"""A scope in plain words, and the ticks that it is made of.

R-SMART-024; WCAG 2.2 success criterion 3.1.5: what is granted can be read without knowing FHIR.
"""

from dataclasses import dataclass

from markupsafe import Markup

from fhir_server.smart.signin.choices import Choice, DataOffer, Offer
from fhir_server.ui.language import Words


@dataclass(frozen=True, slots=True)
class Tick:
    """One box of a form: its field, its value, the words beside it."""

    field: str
    value: str
    label: Markup
    ticked: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """`ticks` grant; `narrowing` takes away from what they grant. `scope` is how FHIR says it."""

    heading: Markup
    scope: str
    ticks: tuple[Tick, ...]
    narrowing: tuple[Tick, ...]
    narrowing_heading: Markup | None
    whole_narrowed: bool


def explained(words: Words, offer: Offer, choice: Choice) -> Explained:
    if isinstance(offer, DataOffer):
        return _data(words, offer, choice)
    key = f"scope-{offer.scope}"
    label = words(key) if words.knows(key) else words("scope-other", scope=offer.scope)
    tick = Tick("plain", str(offer.place), label, offer.place in choice.plain)
    return Explained(label, offer.scope, (tick,), (), None, whole_narrowed=False)


def type_words(words: Words, type: str) -> Markup:
    """The everyday name of a resource type, else FHIR's own."""
    return words(f"type-{type}") if words.knows(f"type-{type}") else words("type-other", type=type)


def _data(words: Words, offer: DataOffer, choice: Choice) -> Explained:
    place = str(offer.place)
    what = words("type-all") if offer.type == "*" else type_words(words, offer.type)
    ticks = []
    if offer.reading:
        label = words(f"read-{offer.context}", what=what)
        ticks.append(Tick("read", place, label, offer.place in choice.reading))
    if offer.writing:
        label = words(f"write-{offer.context}", what=what, how=_writing(words, offer.writing))
        ticks.append(Tick("write", place, label, offer.place in choice.writing))
    narrowing, heading = _narrowing(words, offer, choice)
    return Explained(
        what,
        f"{offer.context}/{offer.type}.{offer.letters}{offer.query}",
        tuple(ticks),
        narrowing,
        heading,
        whole_narrowed=any(not tick.ticked for tick in narrowing),
    )


def _writing(words: Words, letters: str) -> Markup:
    return Markup(", ").join(words(f"letter-{letter}") for letter in letters)


def _narrowing(words: Words, offer: DataOffer, choice: Choice) -> tuple[tuple[Tick, ...], Markup | None]:
    place = offer.place
    if offer.types:
        ticked = choice.types.get(place, ())
        return tuple(
            Tick(f"types-{place}", type, type_words(words, type), type in ticked) for type in offer.types
        ), words("narrow-types")
    if offer.categories:
        ticked = choice.categories.get(place, ())
        return tuple(
            Tick(f"categories-{place}", one, words(f"category-{one.rpartition('|')[2]}"), one in ticked)
            for one in offer.categories
        ), words("narrow-categories")
    return (), None
