"""Puts a Mapping together: entries, provenance of them, a task per open question, what was lost."""

from collections.abc import Iterable, Sequence

from mappers.mapping.entries import EMPTY, transaction
from mappers.mapping.json_text import Json
from mappers.mapping.matching import match_task
from mappers.mapping.message import Message
from mappers.mapping.patients import known_by
from mappers.mapping.provenance import provenance
from mappers.mapping.result import IdentityQuestion, Loss, Mapping, Order
from mappers.mapping.stamps import WHOLE, stamped, stamps


def mapping(
    system: str,
    message: Message,
    key: str,
    order: Order,
    entries: Sequence[Json],
    losses: Iterable[Loss],
    unsure: Sequence[Json] = (),
    aspect: str = WHOLE,
) -> Mapping:
    """`order` and `aspect`: the stamp of every entry that changes something and has none of its own.

    `unsure`: those entries whose patient may be one whom the clinic knows under another id.
    """
    questions = tuple(IdentityQuestion(entry["fullUrl"], known_by(entry["resource"])) for entry in unsure)
    tasks = [match_task(question, entry["resource"]) for question, entry in zip(questions, unsure, strict=True)]
    targets = list(dict.fromkeys(entry["fullUrl"] for entry in entries))
    origin = [provenance(system, message, targets)] if targets else []
    marked = [_marked(entry, order, aspect) for entry in entries]
    return Mapping(transaction([*marked, *tasks, *origin]), key, tuple(losses), questions)


def nothing(key: str, losses: Iterable[Loss]) -> Mapping:
    """A message of which FHIR keeps nothing; that too is said."""
    return Mapping(EMPTY, key, tuple(losses))


def _marked(entry: Json, order: Order, aspect: str) -> Json:
    resource = entry["resource"]
    if entry["request"]["method"] != "PUT" or stamps(resource):
        return entry
    return {**entry, "resource": stamped(resource, order, aspect)}
