"""
One description, from the text in core metadata to HTML: pure, and without a limit of time.

`ui/readme.py` runs this in a process of its own, which it can end.
"""

from __future__ import annotations

from email.message import Message

from markupsafe import Markup

from wheelyard.ui.sanitize import clean_html

SOURCE_LIMIT = 512 * 1024
"""Longest text that is rendered, in characters; longer ones are shown as plain text, cut here."""

HTML_LIMIT = 4 * 1024 * 1024
"""Longest HTML that is shown, in characters: eight times the source; more is an attack on the reader's browser."""


def render_description(text: str, content_type: str | None) -> Markup:
    """
    Render a description; as plain text when it cannot be rendered.

    Args:
        text: The description.
        content_type: As in core metadata (`text/markdown; variant=GFM`); None means reStructuredText where it is valid.
    Returns:
        Harmless HTML. Never raises for any input.
    """
    if len(text) > SOURCE_LIMIT:
        return plain_text(text)
    # NUL and lone surrogates come from damaged metadata; neither may stand in HTML.
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    try:
        rendered = _render(text, content_type)
        cleaned = None if rendered is None or len(rendered) > HTML_LIMIT else clean_html(rendered)
    except Exception:  # noqa: BLE001 - parsers of other people's text fail in ways nobody lists; plain text always works
        return plain_text(text)
    if not cleaned or len(cleaned) > HTML_LIMIT:
        return plain_text(text)
    return Markup(cleaned)  # noqa: S704 - cleaned in the line above


def plain_text(text: str) -> Markup:
    """Return a text as it is, cut when it is very long."""
    shown = text[:SOURCE_LIMIT].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    cut = "" if len(text) <= SOURCE_LIMIT else Markup("<p>The text is longer than what is shown here.</p>")
    return Markup('<pre class="plain-text">\n{}</pre>{}').format(shown, cut)


def _render(text: str, content_type: str | None) -> str | None:
    kind, variant = _parse_content_type(content_type)
    match kind:
        case "text/markdown":
            from readme_renderer import markdown  # noqa: PLC0415 - half a second of imports

            return markdown.render(text, variant="CommonMark" if variant == "commonmark" else "GFM")
        case "text/x-rst":
            from readme_renderer import rst  # noqa: PLC0415 - half a second of imports

            return rst.render(text)
        case _:
            return None


def _parse_content_type(content_type: str | None) -> tuple[str, str]:
    if not content_type:
        # Core metadata: "If a Description-Content-Type is not specified, then applications should attempt to render it as
        # text/x-rst; charset=UTF-8 and fall back to text/plain if it is not valid rst."
        return "text/x-rst", ""
    message = Message()
    message["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    variant = message.get_param("variant", "")
    return message.get_content_type(), variant.lower() if isinstance(variant, str) else ""
