"""The conditions of an insurer's policy, as data: what each asks for, how much depends on it, what follows without it.

Requirements T3, T46, T53: versioned; a clinic adds its own insurer's as a file.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

GENERAL = "general"
_NEEDED: Mapping[str, frozenset[str]] = {
    "photo": frozenset({"taken", "within_days"}),
    "consent": frozenset({"purpose"}),
    "lot": frozenset(),
    "note": frozenset(),
    "element": frozenset({"element"}),
}
_ALWAYS = frozenset({"rule", "kind", "severity", "text", "consequence"})


class PolicyError(ValueError):
    """Why a file is no policy, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Which of the last four there are depends on the kind."""

    rule: str
    kind: str
    severity: str
    text: str
    consequence: str
    taken: str = ""
    within_days: int = 0
    purpose: str = ""
    element: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """`codes`: what a Procedure is coded with, `system|code`, that is covered. `any_product`: or used any product."""

    code: str
    version: str
    title: str
    codes: frozenset[str]
    any_product: bool
    conditions: tuple[Condition, ...]


def policies(folder: Path | None = None) -> Mapping[str, Policy]:
    """By code: ours, and those of a folder of the clinic's. Raises PolicyError for a file that is none."""
    ours = files("fhir_server.injectables").joinpath("insurers").iterdir()
    theirs = sorted(folder.glob("*.toml")) if folder else []
    found: Iterable[Traversable] = (*ours, *theirs)
    return {policy.code: policy for policy in (_policy(file) for file in found if file.name.endswith(".toml"))}


def _policy(file: Traversable) -> Policy:
    try:
        return read_policy(file.read_text(encoding="utf-8"))
    except (PolicyError, OSError, KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"{file.name} is no insurer's policy: {error}") from None


def read_policy(text: str) -> Policy:
    told = tomllib.loads(text)
    applies = told["applies"]
    conditions = tuple(_condition(one) for one in told["condition"])
    if len({one.rule for one in conditions}) != len(conditions):
        raise PolicyError("two conditions have one rule")
    return Policy(
        code=str(told["code"]),
        version=str(told["version"]),
        title=str(told["title"]),
        codes=frozenset(map(str, applies.get("codes", ()))),
        any_product=bool(applies.get("any_product", False)),
        conditions=conditions,
    )


def _condition(told: Mapping[str, Any]) -> Condition:
    needed = _NEEDED.get(told["kind"])
    if needed is None or told.keys() != needed | _ALWAYS or told["severity"] not in {"error", "warning"}:
        raise PolicyError(f"the condition {told.get('rule')} is not one of {', '.join(_NEEDED)} with what that needs")
    if told.get("taken", "before") not in {"before", "after"}:
        raise PolicyError("a photograph is taken before or after")
    return Condition(**told)
