"""The page by which a patient reads their copy: one file, without a script and without anything from elsewhere; pure.

GDPR Art. 12(1), 15(3); WCAG 2.2: headings, a language on every text, no colour alone. What resources say is told from
their elements and escaped: a narrative that somebody wrote is not shown, so that nothing in it can act.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from fhir_server.fhir.narration import OPENING, with_narrative
from fhir_server.kernel.json import Json
from fhir_server.privacy.viewer_words import ABOUT, ACCESSES, CHECK, FIELDS, GROUPS, LANGUAGE, MADE, PHOTO, TITLE, Words

LANGUAGES = ("en", "fr")

_POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 0 auto; padding: 1rem; color: #1a1a1a }
body:has(#fr:checked) [lang=en].word, body:has(#en:checked) [lang=fr].word { display: none }
summary { cursor: pointer; padding: .4rem 0; font-weight: 600 }
li { margin: .5rem 0 } img { max-width: 100%; height: auto } figure { margin: 1rem 0 }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
:focus-visible { outline: 3px solid #0b57d0; outline-offset: 2px }
@media (prefers-color-scheme: dark) { body { background: #121212; color: #eee } }
"""
_DATES = (
    *("effectiveDateTime", "performedDateTime", "createdDateTime", "occurrenceDateTime", "onsetDateTime"),
    *("authoredOn", "dateTime", "date", "start", "sent", "recordedDate", "recorded", "created", "issued"),
)
_PICTURES = frozenset({".jpg", ".png", ".gif", ".webp", ".avif"})
"""What every browser shows; of others there is a link."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the page tells of one resource."""

    type: str
    date: str
    told: str


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of the log of accesses."""

    when: str
    who: str
    what: str
    why: str


def line_of(resource: Json) -> Line:
    """From its elements, in the order in which they are."""
    told = with_narrative({name: value for name, value in resource.items() if name != "text"})["text"]["div"]
    date = next((str(resource[name]) for name in _DATES if isinstance(resource.get(name), str)), "")
    return Line(str(resource["resourceType"]), date, told.removeprefix(OPENING).removesuffix("</div>"))


def access_of(event: Json) -> Access:
    people = [str(agent["name"]) for agent in event["agent"] if "name" in agent]
    clients = [str(agent.get("who", {}).get("identifier", {}).get("value", "")) for agent in event["agent"]]
    purposes = [one["code"] for each in event.get("purposeOfEvent", []) for one in each.get("coding", [])]
    codes = [str(one.get("code")) for one in event.get("subtype", [])]
    who = next(iter(people), next(filter(None, clients), ""))
    return Access(str(event["recorded"]), who, ", ".join(codes), ", ".join(purposes))


def page(
    lines: Sequence[Line], photos: Mapping[str, str], accesses: Sequence[Access], made: str, language: str = "en"
) -> bytes:
    """`photos`: the path of each file, with its date. `language` is the one in which it opens."""
    return "\n".join(_page(lines, photos, accesses, made, language)).encode()


def _page(
    lines: Sequence[Line], photos: Mapping[str, str], accesses: Sequence[Access], made: str, language: str
) -> Iterator[str]:
    title = TITLE.fr if language == "fr" else TITLE.en
    yield f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>"
    yield f"<header><fieldset><legend>{_both(LANGUAGE)}</legend>{''.join(_choices(language))}</fieldset>"
    yield f"<h1>{_both(TITLE)}</h1><p>{_both(ABOUT)}</p><p>{_both(MADE)}: {escape(made)}. {_both(FIELDS)}</p></header>"
    yield "<main>"
    for words, types in GROUPS:
        named = types or {one.type for one in lines} - frozenset[str]().union(*(each for _, each in GROUPS))
        found = sorted((one for one in lines if one.type in named), key=lambda one: one.date, reverse=True)
        if found or ("Media" in types and photos):
            yield from _group(words, found, photos if "Media" in types else {})
    if accesses:
        yield from _log(accesses)
    yield f"</main><footer><p>{_both(CHECK)}</p></footer>\n</body></html>"


def _group(words: Words, lines: Sequence[Line], photos: Mapping[str, str]) -> Iterator[str]:
    yield f"<section><h2>{_both(words)}</h2>"
    for path, date in photos.items():
        shown = any(path.endswith(each) for each in _PICTURES)
        content = f'<img src="{path}" alt="{PHOTO.en} {escape(date)}" loading="lazy">' if shown else ""
        caption = f'<a href="{path}">{_both(PHOTO)} {escape(date)}</a>'
        yield f"<figure>{content}<figcaption>{caption}</figcaption></figure>"
    yield f"<details><summary>{_both(words)} ({len(lines)})</summary><ul>"
    for one in lines:
        yield f"<li>{escape(one.date)} {one.told}</li>"
    yield "</ul></details></section>"


def _log(accesses: Sequence[Access]) -> Iterator[str]:
    yield f"<section><h2>{_both(ACCESSES)}</h2><details><summary>{_both(ACCESSES)} ({len(accesses)})</summary><table>"
    for one in accesses:
        cells = "".join(f"<td>{escape(text)}</td>" for text in (one.who, one.what, one.why))
        yield f'<tr><th scope="row">{escape(one.when)}</th>{cells}</tr>'
    yield "</table></details></section>"


def _choices(language: str) -> Iterator[str]:
    for code, name in (("en", "English"), ("fr", "Français")):
        chosen = " checked" if code == language else ""
        yield f'<input type="radio" name="language" id="{code}"{chosen}>'
        yield f'<label for="{code}" lang="{code}">{name}</label> '


def _both(words: Words) -> str:
    texts = (("en", words.en), ("fr", words.fr))
    return "".join(f'<span class="word" lang="{code}">{escape(text, quote=False)}</span>' for code, text in texts)
