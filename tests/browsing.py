"""A browser without scripts: follows redirects on this site, keeps cookies, fills in forms as they stand."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from httpx2 import AsyncClient, Response

Fields = list[tuple[str, str]]


@dataclass
class FoundForm:
    action: str
    fields: Fields = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, value, formaction)"""

    names: list[str] = field(default_factory=list)
    passkey: str | None = None
    options: str | None = None


class Page(HTMLParser):
    """What a test wants to know of one page."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.status, self.headers, self.address = answer.status_code, answer.headers, str(answer.url)
        self.html = answer.text
        self.forms: list[FoundForm] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._in_form: FoundForm | None = None
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        self._open.append(tag)
        if tag == "form":
            self._in_form = FoundForm(named.get("action") or "", passkey=named.get("data-passkey"))
            self._in_form.options = named.get("data-options")
            self.forms.append(self._in_form)
        elif self._in_form is not None and tag in {"input", "button"}:
            self._field(self._in_form, tag, named)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = None
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data.strip()))

    @staticmethod
    def _field(form: FoundForm, tag: str, named: dict[str, str | None]) -> None:
        name, value = named.get("name") or "", named.get("value") or ""
        if tag == "button":
            form.buttons.append((name, value, named.get("formaction") or ""))
            return
        form.names.append(name)
        if named.get("type") not in {"checkbox", "radio"} or "checked" in named:
            form.fields.append((name, value))

    def text_of(self, tag: str) -> list[str]:
        return [text for one, text in self.texts if one == tag]

    @property
    def heading(self) -> str:
        return self.text_of("h1")[0]

    @property
    def text(self) -> str:
        return " ".join(text for _, text in self.texts)

    def form(self, ending: str, *, passkey: bool = False) -> FoundForm:
        """The one that goes to an address with this ending."""
        return next(one for one in self.forms if one.action.endswith(ending) and bool(one.passkey) is passkey)

    @property
    def ids(self) -> set[str]:
        return {str(named["id"]) for _, named in self.tags if "id" in named}


class Browser:
    def __init__(self, http: AsyncClient, origin: str, address: str = "192.0.2.7") -> None:
        self.http, self.origin, self.address = http, origin, address
        self.left_for: str | None = None
        """Where another site is when a redirect led there."""

    async def get(self, path: str, **headers: str) -> Page:
        return await self._follow(await self._ask("GET", path, [], headers))

    async def post(self, path: str, fields: Fields, **headers: str) -> Page:
        return await self._follow(await self._ask("POST", path, fields, {"Origin": self.origin, **headers}))

    async def submit(self, page: Page, ending: str, button: str = "", **typed: Any) -> Page:
        """Fill in the form and press a button: its `value`, or its `formaction`'s ending."""
        form = page.form(ending)
        fields = [(name, value) for name, value in form.fields if name not in typed]
        for name, value in typed.items():
            fields += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        action = form.action
        for name, value, elsewhere in form.buttons:
            if button and button in {value, elsewhere.rpartition("/")[2]}:
                fields += [(name, value)] if name else []
                action = elsewhere or action
        return await self.post(action, fields)

    async def with_passkey(self, page: Page, ending: str, response: str, challenge: str, **typed: str) -> Page:
        """What the script does."""
        form = page.form(ending, passkey=True)
        given = {"passkey": response, "challenge": challenge, **typed}
        fields = [(name, value) for name, value in form.fields if name not in given]
        return await self.post(form.action, [*fields, *given.items()])

    async def _follow(self, answer: Response) -> Page:
        self.left_for = None
        for _ in range(8):
            if answer.status_code != 303:
                return Page(answer)
            target = answer.headers["location"]
            if re.match(r"[a-z][a-z0-9+.-]*:", target) and not target.startswith(self.origin):
                self.left_for = target
                return Page(answer)
            answer = await self._ask("GET", target, [], {})
        raise AssertionError("It goes round in circles.")

    async def _ask(self, method: str, path: str, fields: Fields, headers: dict[str, str]) -> Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "GET":
            return await self.http.request("GET", path, headers=headers)
        return await self.http.request(
            "POST",
            path,
            content=urlencode(fields),
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
        )
