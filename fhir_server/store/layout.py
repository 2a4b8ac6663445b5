"""One way of making tokens, as rows and the state of the index name it.

sealed-storage section 2: definitions and token layout carry a version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.store.connection import Document

MIXED = ""
"""The rules where rows were made by different ones: only what all rules have in common may be relied on."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`custom` names SearchParameters and their versions, `inside` what is found by any part of its text.

    `rules` is the version of the code and of the definitions behind it. `epochs`: a row bears the tokens of each of
    these keys, and is looked up by those of the newest.
    """

    number: int
    rules: str
    custom: tuple[tuple[str, int], ...] = ()
    inside: tuple[str, ...] = ()
    epochs: tuple[int, ...] = (1,)

    def same_as(self, other: "Layout") -> bool:
        return replace(self, number=0) == replace(other, number=0)

    def without_what_lacks_in(self, other: "Layout") -> "Layout":
        """What of it the other one has too; by its own rules."""
        return replace(
            self,
            custom=tuple(each for each in self.custom if each in other.custom),
            inside=tuple(each for each in self.inside if each in other.inside),
            epochs=tuple(each for each in self.epochs if each in other.epochs),
        )

    def document(self) -> Document:
        custom = [{"id": id, "version": version} for id, version in self.custom]
        known = {"number": self.number, "rules": self.rules, "custom": custom, "inside": list(self.inside)}
        return {**known, "epochs": list(self.epochs)}


def highest(state: Mapping[str, Any]) -> int:
    """The highest number given so far; none is given twice."""
    return max(int(each["number"]) for each in (state["active"], state["target"]) if each)


def layout_of(document: Mapping[str, Any]) -> Layout:
    custom = tuple((str(each["id"]), int(each["version"])) for each in document["custom"])
    epochs = tuple(int(each) for each in document.get("epochs", (1,)))
    return Layout(int(document["number"]), document["rules"], custom, tuple(document["inside"]), epochs)
