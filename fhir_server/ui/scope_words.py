"""A scope in plain words, and the ticks that it is made of.

R-SMART-024; WCAG 2.2 success criterion 3.1.5: what is granted can be read without knowing FHIR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fhir_server.smart.signin.choices import Choice, DataOffer, Offer, PlainOffer
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
    """`ticks` grant; `narrowing` takes away from what they grant. `scopes` is how FHIR says it."""

    heading: Markup
    scopes: tuple[str, ...]
    ticks: tuple[Tick, ...]
    narrowing: tuple[Tick, ...]
    narrowing_heading: Markup | None
    whole_narrowed: bool


def explained(words: Words, offered: Sequence[Offer], choice: Choice) -> tuple[Explained, ...]:
    """All plain scopes together, then each scope on data by itself. What is not asked about is left out."""
    plain = [offer for offer in offered if isinstance(offer, PlainOffer) and not offer.given]
    data = [_data(words, offer, choice) for offer in offered if isinstance(offer, DataOffer)]
    return (*([_about_you(words, plain, choice)] if plain else []), *data)


def _about_you(words: Words, offered: Sequence[PlainOffer], choice: Choice) -> Explained:
    def label(scope: str) -> Markup:
        return words(f"scope-{scope}") if words.knows(f"scope-{scope}") else words("scope-other", scope=scope)

    ticks = tuple(Tick("plain", str(offer.place), label(offer.scope), offer.place in choice.plain) for offer in offered)
    scopes = tuple(offer.scope for offer in offered)
    return Explained(words("about-you"), scopes, ticks, (), None, whole_narrowed=False)


def type_words(words: Words, type: str) -> Markup:
    """The everyday name of a resource type, else FHIR's own."""
    return words(f"type-{type}") if words.knows(f"type-{type}") else words("type-other", type=type)


def _data(words: Words, offer: DataOffer, choice: Choice) -> Explained:
    place = str(offer.place)
    heading = words("type-all") if offer.type == "*" else type_words(words, offer.type)
    what = heading if heading == offer.type else heading[:1].lower() + heading[1:]
    ticks = []
    if offer.reading:
        label = words(f"read-{offer.context}", what=what)
        ticks.append(Tick("read", place, label, offer.place in choice.reading))
    if offer.writing:
        label = words(f"write-{offer.context}", what=what, how=_writing(words, offer.writing))
        ticks.append(Tick("write", place, label, offer.place in choice.writing))
    narrowing, narrowing_heading = _narrowing(words, offer, choice)
    return Explained(
        heading,
        (offer.scope,),
        tuple(ticks),
        narrowing,
        narrowing_heading,
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
