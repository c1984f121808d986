"""What a first start prints: everything a newcomer pastes next."""

from __future__ import annotations

import shlex
from urllib.parse import quote, urlsplit

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def setup_lines(url: str, index: str, read_secret: str, write_secret: str) -> str:
    """
    Return how each client is set up, ready to paste.

    Args:
        url: Where the server is reached, without a slash at the end.
        index: Name of the index; also the user name.
        read_secret: Lets its bearer install.
        write_secret: Lets its bearer publish.
    """
    parts = urlsplit(url)
    read_url = f"{parts.scheme}://{_quoted(index)}:{_quoted(read_secret)}@{parts.netloc}{parts.path}/simple/"
    name, read, write = shlex.quote(index), shlex.quote(read_secret), shlex.quote(write_secret)
    # pip refuses plain http from other machines unless it is told that this host may be trusted.
    insecure = parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS
    trusted = f" --trusted-host {parts.netloc}" if insecure else ""
    rows = (
        ("pip", "install", f"pip install --index-url {read_url}{trusted} PROJECT"),
        ("uv", "install", f"uv pip install --index-url {read_url} PROJECT"),
        ("", "publish", f"uv publish --publish-url {url}/legacy/ --username {name} --password {write} dist/*"),
        (
            "twine",
            "publish",
            f"twine upload --repository-url {url}/legacy/ --username {name} --password {write} dist/*",
        ),
        ("poetry", "install", f"poetry source add --priority=primary {name} {url}/simple/"),
        ("", "", f"poetry config http-basic.{name} {name} {read}"),
        ("", "publish", f"poetry config repositories.{name}-upload {url}/legacy/"),
        ("", "", f"poetry config http-basic.{name}-upload {name} {write}"),
        ("", "", f"poetry publish --build --repository {name}-upload"),
    )
    return "\n".join(f"  {client:<7} {purpose:<8} {line}" for client, purpose, line in rows)


def first_start(url: str, index: str, read_secret: str, write_secret: str, *, source: str) -> str:
    """Return the banner of a first start; the only place where secrets are printed."""
    return "\n".join(
        (
            f"Wheelyard made the index '{index}' for you. It is served at {url}/",
            "",
            f"  index URL      {url}/simple/",
            f"  user name      {index}",
            f"  read secret    {read_secret}",
            f"  write secret   {write_secret}",
            "",
            setup_lines(url, index, read_secret, write_secret),
            "",
            f"The secrets stand in {source} and are not printed again.",
        )
    )


def later_start(url: str, indexes: tuple[str, ...], *, source: str) -> str:
    """Return the banner of every other start: where it is and where the secrets are."""
    names = ", ".join(f"'{name}'" for name in indexes)
    what = "index" if len(indexes) == 1 else "indexes"
    return f"Wheelyard serves {what} {names} at {url}/ (configuration and secrets: {source})"


def _quoted(text: str) -> str:
    return quote(text, safe="")
