"""Per jurisdiction the authority, the largest fine, what hosting needs, and the words of a letter: data.

GDPR Art. 33, 34, 55, 83(5); rows S1, S67, S91, T34; M16.
"""

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Authority:
    """`fine` in `currency`, or `fine_share` of the turnover, whichever is higher. `regions`: where data may be."""

    name: str
    form: str
    fine: int
    fine_share: Decimal
    currency: str
    hosting_certified: bool
    hosting: str
    regions: frozenset[str]
    letter: str


@cache
def authority(jurisdiction: str) -> Authority:
    """Raises KeyError for a jurisdiction that has none."""
    text = files("fhir_server.privacy").joinpath("authorities.toml").read_text(encoding="utf-8")
    whole = tomllib.loads(text)
    told = whole[jurisdiction]
    return Authority(
        told["authority"],
        told["form"],
        told["fine"],
        Decimal(told["fine-share"]),
        told["currency"],
        told["hosting-certified"],
        told["hosting"],
        frozenset((*whole["eea"], *told["outside"])),
        told["letter"],
    )
