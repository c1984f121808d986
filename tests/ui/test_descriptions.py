"""Descriptions become harmless HTML."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ui.html_checks import check_harmless
from wheelyard.ui.description import HTML_LIMIT, SOURCE_LIMIT, plain_text, render_description
from wheelyard.ui.sanitize import clean_html

MARKDOWN = "text/markdown"
RST = "text/x-rst"

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "script in svg": "<svg><script>alert(1)</script></svg>",
    "svg onload": "<svg/onload=alert(1)>",
    "event handler": "<img src=https://x.example/a.png onerror=alert(1)>",
    "handler split by a line": "<img\nonerror\n=\nalert(1) src=x>",
    "javascript link": "[x](javascript:alert(1))",
    "javascript link, encoded": '<a href="&#106;avascript:alert(1)">x</a>',
    "javascript link, with a tab": '<a href="java&#9;script:alert(1)">x</a>',
    "javascript link by reference": "[x]\n\n[x]: JaVaScRiPt:alert(1)",
    "data link": "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "data image": "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "link to this server": "[x](/logout/)",
    "protocol-relative link": "[x](//evil.example/)",
    "picture on this server": "![x](/logout/)",
    "picture next to the page": "![x](../../logout/)",
    "picture without TLS": "![x](http://x.example/a.png)",
    "scheme without a host": '<a href="https:evil">x</a><img src="https:logout">',
    "backslash": r'<a href="https:\\evil.example">x</a>',
    "style element": "<style>body{display:none}</style>",
    "style attribute": '<p style="position:fixed;inset:0">x</p>',
    "class of the page": '<div class="site-header card notice-error visually-hidden">x</div>',
    "stylesheet": '<link rel=stylesheet href="https://evil.example/x.css">',
    "meta refresh": '<meta http-equiv=refresh content="0;url=https://evil.example">',
    "base": '<base href="https://evil.example/">',
    "frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "object": "<object data=https://evil.example></object><embed src=https://evil.example>",
    "form": "<form action=https://evil.example><input name=pkg_repo_secret_raw type=password><button>ok</button></form>",
    "form attribute": "<button form=x formaction=https://evil.example>ok</button><input form=x>",
    "id of the page": '<a id="content">x</a><img name="cookie" id="site-search">',
    "id with odd characters": '<p id="a b">x</p><p id="&lt;">x</p>',
    "end of its place": "</div></div></main></body></html><p>outside",
    "open comment": "<!-- <p>x",
    "open tag": "<p title='x",
    "textarea": "<textarea>x",
    "plaintext": "<plaintext>x",
    "noscript": "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "template": "<template><script>alert(1)</script></template>",
    "math": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "namespace confusion": "<svg></p><style><a title='</style><img src=x onerror=alert(1)>'>",
    "nested links": "<a href=https://a.example><object><a href=javascript:alert(1)>x</a></object></a>",
    "table without a table": "<td>x<tr><th>y</table>",
    "fostered": "<table><form><a href=javascript:alert(1)><tr><td></form></a>x",
    "code language": '```x"onclick=alert(1)\ny\n```',
    "code language with tags": "```<script>alert(1)</script>\ny\n```",
    "NUL and surrogates": "a\0b \ud800 <scr\0ipt>alert(1)</script>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#0; &#x110000;",
    "marquee": "<marquee onstart=alert(1)>x</marquee>",
    "video": "<video><source onerror=alert(1)></video><audio src=x onerror=alert(1)>",
    "details": "<details ontoggle=alert(1) open><summary>x</summary></details>",
    "picture sources": "<picture><source srcset='https://x.example 1x'><img srcset='/logout/ 1x'></picture>",
    "ping": "<a href=https://x.example ping=/logout/ target=_top download>x</a>",
    "footnote": "x[^<script>]\n\n[^<script>]: y",
    "checkbox": '<input type="checkbox" disabled=""><input type=checkbox onclick=alert(1)>',
    "huge numbers": "<ol start=99999999999><li>x</ol><table><td colspan=999999999>x</table><img width=99999999 src=x>",
}
RST_ATTACKS = {
    "raw": ".. raw:: html\n\n   <script>alert(1)</script>\n",
    "include": ".. include:: /etc/passwd\n",
    "include as code": ".. include:: /etc/passwd\n   :code:\n",
    "csv": ".. csv-table::\n   :file: /etc/passwd\n",
    "csv by url": ".. csv-table::\n   :url: file:///etc/passwd\n",
    "role": ".. role:: raw-html(raw)\n   :format: html\n\n:raw-html:`<script>alert(1)</script>`\n",
    "link": "`x <javascript:alert(1)>`_\n",
    "picture": ".. image:: javascript:alert(1)\n   :target: javascript:alert(2)\n",
    "picture of this server": ".. image:: /logout/\n",
    "class": ".. class:: site-header card\n\nx\n",
    "meta": ".. meta::\n   :http-equiv=refresh: 0\n\nx\n",
    "stylesheet": ".. container:: visually-hidden\n\n   x\n",
    "target": ".. _content:\n\nx content_\n",
    "math": ":math:`<script>alert(1)</script>`\n",
    "code": ".. code:: python\n   :class: card\n   :name: content\n\n   x\n",
    "substitutions": ".. |a| replace:: " + "x" * 99 + "\n" + "|a| " * 3000,
}


@pytest.mark.parametrize(
    "content_type", [MARKDOWN, "text/markdown; variant=CommonMark", RST, "text/plain", None, "x/y"]
)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_text(attack: str, content_type: str | None) -> None:
    """A description that attacks the page comes out as something to read."""
    check_harmless(render_description(attack, content_type))
    check_harmless(render_description(f"before\n\n{attack}\n\nafter {attack} end", content_type))


@pytest.mark.parametrize("attack", RST_ATTACKS.values(), ids=RST_ATTACKS.keys())
def test_an_attack_by_directive_is_text(attack: str) -> None:
    """Directives of reStructuredText read no files, ask no server and write no HTML of its own."""
    html = render_description(attack, RST)

    check_harmless(html)
    assert "root:" not in html


BRICKS = st.lists(
    st.sampled_from(
        [*ATTACKS.values(), "\n\n", "> ", "* ", "`", "```\n", "|", "<", ">", '"', "'", "&", "[", "](", ")", "#"]
    )
    | st.sampled_from(
        ["<p>", "</p>", "<a href='", "<table>", "<tr>", "<td>", "</table>", "<b>", "</b>", "<h1>", "</h2>"]
    )
    | st.text(max_size=8),
    max_size=12,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(BRICKS)
@example("<h1><h2>x</h1>")
@example("<b><p></b>x</p>")
def test_no_html_is_harmful(html: str) -> None:
    """Whatever is written, what is shown can only be read."""
    cleaned = clean_html(html.encode("utf-8", "replace").decode())

    if cleaned is not None:
        check_harmless(cleaned)


@settings(max_examples=80, deadline=None)
@given(BRICKS, st.sampled_from([MARKDOWN, RST, None]))
def test_no_description_is_harmful(text: str, content_type: str | None) -> None:
    """No description in any of the formats does harm or fails."""
    check_harmless(render_description(text, content_type))


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 3_000,
        "<b>" * 3_000 + "x",
        "> " * 5_000 + "x",
        "* " * 3_000 + "x",
        "[" * 20_000,
        "<table><tr><td>" * 500,
        "*a " * 20_000,
        "`" * 50_000,
        "<a title='" * 20_000,
    ],
    ids=["divs", "bs", "quotes", "lists", "brackets", "tables", "stars", "ticks", "open attributes"],
)
def test_deep_nesting_is_plain_text_or_shallow(text: str) -> None:
    """A description that nests without end is shown, if at all, without the nesting."""
    html = render_description(text, MARKDOWN)

    check_harmless(html)
    assert html.count("<div>") <= 100


def test_a_small_text_makes_no_huge_page() -> None:
    """A description whose HTML is many times its size is shown as plain text."""
    text = f".. _a: https://x.example/{'x' * 9_000}\n\n" + ("a_ " * 50 + "\n") * 12
    html = render_description(text, RST)

    assert len(html) <= HTML_LIMIT
    assert html == plain_text(text)


def test_a_huge_text_is_cut() -> None:
    """A text beyond the limit is shown as it is up to the limit, and the reader is told."""
    html = render_description("<b>" * SOURCE_LIMIT, MARKDOWN)

    assert "<b>" not in html
    assert html.count("b") < SOURCE_LIMIT
    assert "longer than what is shown" in html


def test_markdown_as_readers_know_it() -> None:
    """Ordinary Markdown keeps headings, links within, code, tables, tasks, notes and pictures."""
    html = render_description(
        "# Top\n\n[down](#down) [web](https://w.example/a?b=c)\n\n## Down\n\n- [x] done\n- [ ] open\n\n"
        "```python\nif x:\n    pass\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> [!NOTE]\n> hear\n\n"
        '![pic](https://i.example/p.png)\n\n<p align="center"><img src="https://i.example/q.png" width="40%"></p>\n',
        "text/markdown; charset=UTF-8; variant=GFM",
    )

    check_harmless(html)
    for part in (
        '<h3 id="user-content-top">', '<h4 id="user-content-down">', 'href="#user-content-down"',
        'href="https://w.example/a?b=c"', "\N{BALLOT BOX WITH CHECK} done", "\N{BALLOT BOX} open",
        '<span class="k">if</span>', "<td>1</td>", 'class="admonition note"', 'src="https://i.example/p.png"',
        'alt="pic"', '<p align="center">', 'width="40%"',
    ):  # fmt: skip
        assert part in html


def test_restructuredtext_as_readers_know_it() -> None:
    """Ordinary reStructuredText keeps its headings, links, code and notes."""
    html = render_description(
        "Top\n===\n\n`web <https://w.example/>`_ and Down_\n\n.. note:: hear\n\n.. code:: python\n\n   if x: pass\n\nDown\n----\n\nx\n",
        None,
    )

    check_harmless(html)
    for part in (
        "<h3>Top",
        "<h4>Down",
        'href="https://w.example/"',
        'href="#user-content-down"',
        '<span class="k">if</span>',
    ):
        assert part in html


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("# a <b>", "text/plain"),
        ("# a <b>", "application/x-unknown"),
        ("*open `broken\n===", RST),
        ("", MARKDOWN),
        ("# a", "\r\nx: y"),
    ],
)
def test_the_rest_is_plain_text(text: str, content_type: str) -> None:
    """A text of another kind, or with mistakes, is shown as it was written."""
    assert render_description(text, content_type) == plain_text(text)
