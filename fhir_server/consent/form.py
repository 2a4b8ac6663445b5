"""The forms that ship with the server: their questions, each for one purpose, and their exact text with its hash.

Requirements S103, T88, T93, T105; https://hl7.org/fhir/R4/questionnaire.html. Each is data:
forms/<name>.<language>.json, and with the version in its name for one that was in use before.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json

_OWN = "urn:aesthetic-fhir-server"
_PURPOSE, _CHANNEL = f"{_OWN}:form-purpose", f"{_OWN}:form-channel"
URL = f"{_OWN}:form:"
OPTION = f"{_OWN}:form-option"
UNDERSTOOD = "understood"
LANGUAGES = ("en", "fr")


@dataclass(frozen=True, slots=True)
class Question:
    """`channel`: the one that it is about, where the form asks for each by itself."""

    link: str
    purpose: str
    text: str
    channel: str | None


@dataclass(frozen=True)
class Form:
    """One form in one language."""

    code: str
    language: str
    questionnaire: Json

    @property
    def version(self) -> str:
        return str(self.questionnaire["version"])

    @property
    def canonical(self) -> str:
        return f"{self.questionnaire['url']}|{self.version}"

    @cached_property
    def items(self) -> Mapping[str, Json]:
        return {str(item["linkId"]): item for item in self.questionnaire["item"]}

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        found = []
        for link, item in self.items.items():
            said = {one["url"]: one["valueCode"] for one in item.get("extension", [])}
            if _PURPOSE in said:
                found.append(Question(link, said[_PURPOSE], item["text"], said.get(_CHANNEL)))
        return tuple(found)

    @cached_property
    def sha256(self) -> str:
        """Of the exact text that was shown."""
        return hashlib.sha256(json.encode(self.questionnaire)).hexdigest()


@cache
def forms() -> Mapping[tuple[str, str], Form]:
    """By name and language."""
    return {(code, language): form for (code, language, version), form in _texts().items() if not version}


def text_of(code: str, language: str, version: str) -> Form | None:
    """A form in the version that a Consent names: those in use before can be read for as long as Consents name them."""
    found = forms().get((code, language))
    return found if found is None or version in {"", found.version} else _texts().get((code, language, version))


@cache
def _texts() -> Mapping[tuple[str, str, str], Form]:
    """By name, language and version; the one in use has no version in its file's name."""
    found: dict[tuple[str, str, str], Form] = {}
    for file in files("fhir_server.consent.forms").iterdir():
        if file.name.endswith(".json"):
            code, language, version = (*file.name.removesuffix(".json").split("."), "")[:3]
            found[code, language, version] = Form(code, language, json.decode(file.read_bytes()))
    return dict(sorted(found.items()))


def form_of(canonical: str, language: str) -> Form:
    """422 for one that is not, or no longer, the form in use."""
    url, _, version = canonical.partition("|")
    found = forms().get((url.removeprefix(URL), language)) if url.startswith(URL) else None
    if found is None:
        raise UnprocessableError("There is no such form in this language.", expression="Parameters.parameter")
    if version != found.version:
        raise UnprocessableError("This is not the version of the form in use.", expression="Parameters.parameter")
    return found
