"""In which language a page speaks: English or French. The words are data (texts/), one file per language.

RFC 9110 section 12.5.4; OpenID Connect Core 3.1.2.1 (`ui_locales`).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from markupsafe import Markup

from fhir_server.kernel import json

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "fr": "Français"})
DEFAULT = "en"
_MOST_RANGES = 20
_MINUTES_FROM = 120


def chosen(explicit: str | None, locales: Sequence[str], accepted: str) -> str:
    """What the person chose, else what the client asks for, else what the browser accepts."""
    for wanted in (explicit or "", *locales, *_ranges(accepted)):
        primary = wanted.split("-")[0].strip().casefold()
        if primary in LANGUAGES:
            return primary
    return DEFAULT


def _ranges(accepted: str) -> list[str]:
    """Of Accept-Language, the most wanted first; what is not wanted at all is left out."""
    weighed = []
    for part in accepted.split(",")[:_MOST_RANGES]:
        name, _, parameter = part.partition(";")
        try:
            weight = float(parameter.replace(" ", "").removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if weight > 0:
            weighed.append((weight, name))
    return [name for _, name in sorted(weighed, key=lambda one: -one[0])]


@cache
def texts(language: str) -> Mapping[str, str]:
    """Key -> words."""
    raw = files("fhir_server.ui").joinpath("texts", f"{language}.json").read_bytes()
    return MappingProxyType(json.decode(raw))


class Words:
    """`words("key", name=value)`: the words of one language, with values put in and escaped."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = texts(language)

    def __call__(self, key: str, **values: object) -> Markup:
        return Markup(self._texts[key]).format(**values)  # noqa: S704  the texts are ours; format escapes the values

    def wait(self, seconds: int) -> Markup:
        """How long, in whole minutes where it is long."""
        return self("seconds", count=seconds) if seconds < _MINUTES_FROM else self("minutes", count=-(-seconds // 60))

    def knows(self, key: str) -> bool:
        return key in self._texts
