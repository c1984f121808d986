"""The lines a reader copies into a shell: pure, and quoted for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from wheelyard.protocol.names import parse_version


@dataclass(frozen=True, slots=True)
class Line:
    """
    One thing to copy.

    Attributes:
        client: Whose it is (`pip`).
        text: One or more shell commands, one per line.
    """

    client: str
    text: str


def install_lines(project: str, version: str | None, *, index: str, simple_url: str, private: bool) -> tuple[Line, ...]:
    """
    Say how to install a project from this index.

    Args:
        project: Normalised name.
        version: The release shown; left out of the lines when it is no version that installers know.
        index: Name of the index, under which clients remember it.
        simple_url: Absolute address of its project list.
        private: Whether reading needs credentials; the user name then stands in the address and clients ask for the secret.
    """
    address = with_user(simple_url, index) if private else simple_url
    known = parse_version(version) if version is not None else None
    pinned = project if known is None else f"{project}=={known}"
    source = _source_name(index)
    return (
        Line("pip", _command("pip", "install", pinned, "--index-url", address)),
        Line("uv", _command("uv", "add", pinned, "--index", f"{source}={address}")),
        Line(
            "poetry",
            "\n".join(
                (
                    _command("poetry", "source", "add", "--priority=explicit", source, simple_url),
                    *((_command("poetry", "config", f"http-basic.{source}", index),) if private else ()),
                    _command("poetry", "add", "--source", source, project if known is None else f"{project}@{known}"),
                )
            ),
        ),
    )


def publish_lines(*, index: str, upload_url: str) -> tuple[Line, ...]:
    """
    Say how to publish to this index.

    Args:
        index: Its name, which is the user name too.
        upload_url: Absolute address that takes uploads.
    """
    return (
        Line("twine", _command("twine", "upload", "--repository-url", upload_url, "--username", index) + " dist/*"),
        Line("uv", _command("uv", "publish", "--publish-url", upload_url, "--username", index)),
    )


def with_user(url: str, user: str) -> str:
    """Return `url` with a user name in it, percent-encoded."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc}"))


def _source_name(index: str) -> str:
    """Return a name that every client takes for a source."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in index) or "index"


def _command(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)
