"""What a mapper answers: a transaction Bundle, what was lost, and who somebody may be."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mappers.mapping.json_text import Json


class Order(NamedTuple):
    """Which of two messages about one thing is the later one: sequence first, then time, then what breaks a tie."""

    sequence: int
    instant: str
    tie: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """A field of the source that has no place in the result, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class IdentityQuestion:
    """A patient (the fullUrl of an entry) of whom it is not known whether the clinic knows them already."""

    patient: str
    known_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """`key` is the same for the same message sent again.

    `bundle` may be empty: some messages say nothing that FHIR would keep. `continues`: it says of itself that it is
    about something that came before, where its patient is named already.
    """

    bundle: Json = field(repr=False)
    key: str
    losses: tuple[Loss, ...] = ()
    questions: tuple[IdentityQuestion, ...] = ()
    continues: bool = False

    def continuing(self) -> "Mapping":
        return replace(self, continues=True)
