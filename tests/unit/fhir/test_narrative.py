import pytest

from fhir_server.fhir.narrative import narrative_faults
from fhir_server.fhir.scope import Scope

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
SCOPE = Scope.of({})


def faults(inner: str) -> list[str]:
    return raw(f"<div {XHTML}>{inner}</div>")


def raw(text: object) -> list[str]:
    return [each.says for each in narrative_faults(text, {}, SCOPE) or ()]


@pytest.mark.parametrize(
    "inner",
    [
        "<p>Text</p>",
        '<table class="grid"><tr><td colspan="2">1 &lt; 2 &#160;</td></tr></table>',
        '<a href="https://example.org/x" title="x">x</a>',
        '<a href="#p1">x</a>',
        '<a name="here">x</a>',
        '<a href="mailto:a@example.org">x</a>',
        '<img src="#pic" alt="x"/>',
        '<img src="Binary/7" alt=""/>',
        '<img src="http://imaging.example/wado/server?requestType=WADO&amp;studyUid=1.2" alt="x"/>',
        '<p style="background-image: url(tbl_bck1.png); color: red">x</p>',
        "<p style=\"background: url('https://example.org/a.png?b=c&amp;d') repeat\">x</p>",
        '<span style="color: red; font-weight: bold">x</span>',
        '<p xml:lang="tr" dir="ltr">Çelik</p>',
        "<!-- generated --><p>x</p>",
        "<!-- <p onclick='x()'>was here</p> --><p>x</p>",
        '<p style="color: red !important; font-family: Segoe Script; background: none">x</p>',
        '<a href="ftp://example.org/x">x</a>',
        '<center><font color="red" face="serif" size="2">x</font> <strike>y</strike></center>',
    ],
)
def test_formatted_text_is_accepted(inner: str) -> None:
    assert faults(inner) == []


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<p onclick="alert(1)">x</p>',
        "<iframe/>",
        "<object/>",
        "<embed/>",
        "<form><input/></form>",
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        '<math xmlns="http://www.w3.org/1998/Math/MathML">x</math>',
        "<style>p { color: red }</style>",
        '<link href="x.css"/>',
        '<base href="https://evil.example/"/>',
        '<meta content="0;url=x"/>',
        "<video/>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href="JaVa&#10;ScRiPt:alert(1)">x</a>',
        '<a href=" &#1;javascript:alert(1)">x</a>'.replace("&#1;", "&#9;"),
        '<a href="data:text/html,x">x</a>',
        '<a href="vbscript:x">x</a>',
        '<img src="data:image/png;base64,AAAA" alt=""/>',
        '<p style="width: expression(alert(1))">x</p>',
        '<p style="background: u\\72l(x)">x</p>',
        '<p style="background: url(javascript:alert(1))">x</p>',
        '<p style="background: url(java script:x)">x</p>',
        '<p style="background: url(data:image/png;base64,AAAA)">x</p>',
        '<p style="behavior: url(x.htc)">x</p>',
        '<p style="-moz-binding: url(https://evil.example/x)">x</p>',
        '<img src="javascript:alert(1)" alt=""/>',
        '<img src="x" onerror="alert(1)" alt=""/>',
        '<p style="@import x">x</p>',
        "<!--><script>alert(1)</script>-->x",
        "<!---><script>alert(1)</script>-->x",
        "<!--<!-- --><script>alert(1)</script>",
        '<p style="width: ex/**/pression(alert(1))">x</p>',
        '<p style="width: expression (alert(1))">x</p>',
        '<p style="behaviour : url(x.htc)">x</p>',
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?php x ?>x",
        "<p>&nbsp;</p>",
        "<p>x",
        '<x:p xmlns:x="urn:other">x</x:p>',
    ],
)
def test_what_could_act_is_refused(inner: str) -> None:
    assert len(faults(inner)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        5,
        "text",
        f"<p {XHTML}>x</p>",
        "<div>no namespace</div>",
        f'<?xml version="1.0"?><div {XHTML}>x</div>',
        f"<div {XHTML}>x</div><div {XHTML}>y</div>",
        f"<div {XHTML}>\ud800</div>",
        f'<!DOCTYPE div [<!ENTITY a "x">]><div {XHTML}>&a;</div>',
        f'<!DOCTYPE div SYSTEM "file:///etc/passwd"><div {XHTML}>x</div>',
    ],
)
def test_what_is_not_one_plain_div_is_refused(text: object) -> None:
    assert len(raw(text)) == 1


def test_a_bomb_of_entities_is_refused_at_its_document_type() -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(30))

    assert raw(f'<!DOCTYPE div [<!ENTITY e0 "x">{entities}]><div {XHTML}>&e30;</div>') == [
        "A narrative has no document type."
    ]


def test_a_narrative_says_something() -> None:
    assert faults(" \n<p> </p>") == ["txt-2: The narrative SHALL have some non-whitespace content."]
    assert faults('<img src="#a" alt=""/>') == []


def test_nothing_of_the_text_is_quoted() -> None:
    assert not any("secret" in said for said in faults('<secret secret="secret">secret</secret>'))
