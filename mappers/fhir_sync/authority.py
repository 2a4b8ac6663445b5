"""Whose word holds for which element: booking owns times, the EHR demographics, the clinic photographs and consents.

A table (`authority.json`) says it by role; which roles the other server has is the clinic's to say. Others are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

from mappers.mapping.json_text import decode_object

ROLES = frozenset({"booking", "clinic", "ehr"})
Table = Mapping[str, Any]


class Side(Enum):
    OURS = "ours"
    THEIRS = "theirs"

    @property
    def other(self) -> "Side":
        return Side.THEIRS if self is Side.OURS else Side.OURS


class Rule(Enum):
    """OWNED: the owner's stands on both sides. JOINED: each side has what either has. ONCE: only when it is made."""

    OWNED = "owned"
    JOINED = "joined"
    ONCE = "once"
    STAYS = "stays"


@cache
def published() -> Table:
    return decode_object(files(__package__).joinpath("authority.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Authority:
    """`they`: the roles of the other server."""

    they: frozenset[str]
    table: Table

    @property
    def types(self) -> tuple[str, ...]:
        """Each after those that it refers to."""
        return tuple(self.table)

    def choices(self, type: str) -> tuple[str, ...]:
        return tuple(self.table[type]["choices"])

    def rule(self, type: str, element: str) -> Rule:
        said = self.table[type]
        return next((rule for rule in (Rule.JOINED, Rule.ONCE, Rule.STAYS) if element in said[rule.value]), Rule.OWNED)

    def owner(self, type: str, element: str) -> Side:
        said = self.table[type]
        return self._side(said["fields"].get(element, said["owner"]))

    def may_create(self, type: str, side: Side) -> bool:
        return any(self._side(role) is side for role in self.table[type]["created_by"])

    def deletes(self, type: str, side: Side) -> bool:
        """Does what was deleted on this side go on the other one too?"""
        said = self.table[type]
        return said["deletion"] == "goes" and self._side(said["owner"]) is side

    def _side(self, role: str) -> Side:
        return Side.THEIRS if role in self.they else Side.OURS
