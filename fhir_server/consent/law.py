"""What holds where no consent speaks: the jurisdiction's rules on care, and one implicit policy for the rest.

GDPR Art. 9(2)(h) with 9(3), Art. 15; IHE PCF 1.1 section 53.2.1; requirements D10, T82, R-PCF-006. The rules are data:
a file of `packs/` for each jurisdiction.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Policy(StrEnum):
    """IHE PCF's overarching policies for who has no consent on file; here each of them for care alone."""

    BASIC_NORMAL = "basic-normal"
    ALL_NORMAL = "all-normal"
    BREAK_GLASS_ONLY = "break-glass-only"
    DENY = "deny"

    @property
    def uri(self) -> str:
        return f"https://profiles.ihe.net/ITI/PCF/Policy-{self}"


@dataclass(frozen=True, slots=True)
class Ban:
    """What may not be done to whom, at any consent. `code` names it (`cosmetic-injectables`)."""

    code: str
    below_age: int
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Pack:
    """`care_photography`: photographs in care need no consent of their own. `professions`: roles bound to secrecy."""

    code: str
    name: str
    majority: int
    care_photography: bool
    professions: frozenset[str]
    bans: tuple[Ban, ...] = ()
    verify_locally: bool = True

    def banned(self, code: str, age: int) -> Ban | None:
        return next((ban for ban in self.bans if ban.code == code and age < ban.below_age), None)


@dataclass(frozen=True, slots=True)
class Law:
    pack: Pack
    policy: Policy = Policy.ALL_NORMAL


@cache
def packs() -> Mapping[str, Pack]:
    """By code: `eu` is the regulation alone."""
    found = [
        _pack(tomllib.loads(file.read_text()))
        for file in files("fhir_server.consent.packs").iterdir()
        if file.name.endswith(".toml")
    ]
    return {pack.code: pack for pack in sorted(found, key=lambda pack: pack.code)}


def law_of(jurisdiction: str, policy: str = Policy.ALL_NORMAL) -> Law:
    return Law(packs()[jurisdiction], Policy(policy))


def _pack(read: Mapping[str, object]) -> Pack:
    bans = read.get("ban", [])
    assert isinstance(bans, Sequence)
    return Pack(
        code=str(read["code"]),
        name=str(read["name"]),
        majority=int(str(read["majority"])),
        care_photography=read["care_photography"] == "care",
        professions=frozenset(map(str, _texts(read["professions"]))),
        bans=tuple(Ban(**{name: ban[name] for name in ("code", "below_age", "text", "source")}) for ban in bans),
        verify_locally=bool(read["verify_locally"]),
    )


def _texts(value: object) -> Sequence[object]:
    assert isinstance(value, Sequence)
    return value
