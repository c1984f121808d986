"""`wheelyard why`: which index answers for a name, what is left out, by which rule, until when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import click

from wheelyard.cli.asking import extra_index_option, quiet_log, upstream_overrides
from wheelyard.cli.flags import examples, flag_command
from wheelyard.cli.management import (
    Place,
    load,
    local_index_name,
    open_index,
    place_options,
    project_name,
    remote_index,
)
from wheelyard.cli.remote import PasswordNeeded

_EPILOG = examples(
    "wheelyard why requests",
    "wheelyard why requests==2.32.3 --json",
    "wheelyard why requests --url http://localhost:8888 --user main --password-env READ_SECRET",
)
_ASKED: Final = re.compile(r"(?P<name>[^=\s]+)\s*(?:==\s*(?P<version>\S+))?\Z")
_SHOWN_RELEASES: Final = 20  # of a project with hundreds, the newest say what one wants to know


@flag_command(epilog=_EPILOG)
@click.argument("asked", metavar="NAME[==VERSION]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--all", "show_all", is_flag=True, help="Show every release, not only the newest.")
@extra_index_option
@place_options
def command(*, place: Place, asked: str, as_json: bool, show_all: bool, extra_index_url: str | None) -> None:
    """
    Say why a name is answered as it is: which index answers, what is left out, by which rule, until when.

    Without --url the other indexes are asked from here, with the configuration of the folder.
    """
    match = _ASKED.match(asked.strip())
    if match is None:
        raise click.UsageError(f"'{asked}' is neither a project name nor NAME==VERSION")
    explained = _explained(place, match["name"], match["version"], extra_index_url)
    click.echo(json.dumps(explained, indent=2) if as_json else "\n".join(lines(explained, show_all=show_all)))


def _explained(place: Place, name: str, version: str | None, extra_index_url: str | None) -> Mapping[str, Any]:
    project = project_name(name)
    if place.url is not None:
        return _told(place, "why", project, *([version] if version else []))
    import anyio  # noqa: PLC0415  not for --help
    import msgspec  # noqa: PLC0415  as above

    from wheelyard.compose import open_explainer  # noqa: PLC0415  every part of the server: not for --help
    from wheelyard.server.why import document  # noqa: PLC0415  as above

    quiet_log()
    settings = load(place, upstream_overrides(extra_index_url))
    index = local_index_name(settings, place.index)

    async def run() -> Mapping[str, Any]:
        async with open_explainer(settings, index) as explainer:
            explained: Mapping[str, Any] = msgspec.to_builtins(document(await explainer.explain(project, version)))
            return explained

    return anyio.run(run)


def _told(place: Place, *path: str) -> Mapping[str, Any]:
    """Ask a server; without a password first, if none is given: an index may be read by everybody."""
    if place.password is None and place.password_env is None:
        with suppress(PasswordNeeded):
            return open_index(place).ask_index("GET", *path)
    return remote_index(place, wanted="read secret").ask_index("GET", *path)


def lines(explained: Mapping[str, Any], *, show_all: bool) -> Iterator[str]:
    """Yield an explanation for people, line by line; what others wrote in it cannot move their cursor."""
    return (_printable(line) for line in _lines(explained, show_all=show_all))


def _lines(explained: Mapping[str, Any], *, show_all: bool) -> Iterator[str]:
    yield _sentence(str(explained["summary"]))
    if explained.get("rule"):
        yield f"  rule: {explained['rule']}"
    if explained.get("status") not in (None, "active"):
        yield f"  status: {explained['status']}"
    if explained.get("squatted_since"):
        yield f"  alarm: the name is on another index too, seen there since {_moment(explained['squatted_since'])}"
    releases = _releases(explained.get("files", ()))
    shown = list(releases.items()) if show_all else list(releases.items())[-_SHOWN_RELEASES:]
    if len(shown) < len(releases):
        yield f"  ({len(releases) - len(shown)} older releases; --all shows them)"
    for release, files in reversed(shown):
        yield from _release(release, files)
    advisories = explained.get("advisories")
    if isinstance(advisories, dict):
        yield f"  advisories: {advisories['records']} of {advisories['source']}, loaded {_moment(advisories['loaded_at'])}"


def _releases(files: Any) -> dict[str, list[Mapping[str, Any]]]:
    """Return files by release, oldest release first."""
    from wheelyard.protocol.names import version_key  # noqa: PLC0415  packaging is slow to import

    found: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        found.setdefault(file.get("version") or "", []).append(file)
    return {release: found[release] for release in sorted(found, key=version_key)}


def _release(release: str, files: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line for files of a release that are treated alike, and one for each other treatment."""
    alike: dict[str, list[str]] = {}
    for file in files:
        alike.setdefault(_treatment(file), []).append(str(file["filename"]))
    for treatment, names in alike.items():
        which = "" if len(alike) == 1 else f" ({', '.join(sorted(names))})"
        yield f"  {release or 'no version'}{which}: {treatment}"


def _treatment(file: Mapping[str, Any]) -> str:
    reason, until = str(file.get("reason") or ""), file.get("until")
    if file.get("offered"):
        text = "offered" + (", yanked" if file.get("yanked") else "")
        return f"{text}; {reason}" if reason else text
    when = f" until {_moment(until)}" if until else ""
    return f"left out{when} by {file.get('rule')}: {reason}"


def _moment(value: object) -> str:
    """Return a moment to the second, as the texts of the rules have it."""
    with suppress(ValueError):
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M:%S UTC")
    return str(value)


def _printable(line: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("index ") else text
