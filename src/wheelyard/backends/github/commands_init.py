"""`wheelyard github.init_pkg_repo`: the predecessor's command, with its flags."""

from __future__ import annotations

import click

from wheelyard.backends.github.commands import api_url_of, token_of

RESERVED = frozenset(
    {
        "_", "api", "at", "healthz", "index_mtime", "initialize", "integrity", "legacy", "login", "logout", "metrics",
        "packages", "project", "pypi", "readyz", "simple", "static",
    }
)  # fmt: skip
"""Names that no index may have; the server, which this part may not know, has the same."""

_EPILOG = """\b
Examples:
  wheelyard github.init_pkg_repo --name team --owner acme --repo packages --token TOKEN
  wheelyard github.init_pkg_repo --name team --repo packages --token-env GH_TOKEN --dry-run"""


@click.command(epilog=_EPILOG)
@click.option("--name", required=True, metavar="NAME", help="Name of the index in the configuration.")
@click.option(
    "--token", metavar="TOKEN", help="Token that may make repositories and workflows [GH_TOKEN, GITHUB_TOKEN]."
)
@click.option("--token-env", metavar="VARIABLE", help="Environment variable that has it.")
@click.option("--repo", required=True, metavar="REPO", help="Name of the repository to make.")
@click.option("--owner", metavar="OWNER", help="User or organisation that will own it [the token's user].")
@click.option("--branch", default="index", show_default=True, metavar="NAME", help="Branch that keeps the index.")
@click.option("--index-filename", default="index.toml", metavar="NAME", help="The predecessor's list, if there is one.")
@click.option("--sync-index-interval", default=60, show_default=True, metavar="SECONDS", help="For the configuration.")
@click.option("--private-pypi-version", hidden=True, help="Of the predecessor's image; nothing here uses it.")
@click.option(
    "--enable-gh-pages/--no-enable-gh-pages", default=False, help="A public repository, with its index on Pages."
)
@click.option("--existing/--no-existing", default=False, help="Use a repository that is there and was made otherwise.")
@click.option("--dry-run/--no-dry-run", default=False, help="Print what would be done, and ask nobody.")
@click.option("--api-url", metavar="URL", help="Of GitHub Enterprise Server: https://HOST/api/v3")
def command(
    *,
    name: str,
    token: str | None,
    token_env: str | None,
    repo: str,
    owner: str | None,
    branch: str,
    index_filename: str,
    sync_index_interval: int,
    private_pypi_version: str | None,
    enable_gh_pages: bool,
    existing: bool,
    dry_run: bool,
    api_url: str | None,
) -> int:
    """
    Make a GitHub repository that keeps packages.

    It is private, unless --enable-gh-pages is given: GitHub Pages, and files that they link to, are for everybody. It gets
    a branch for the index and a workflow that repairs it. The configuration is printed.
    """
    del private_pypi_version
    from wheelyard.backends.github.setup import Setup, Wishes, config_tables, plan_lines  # noqa: PLC0415  not for --help

    _check_name(name)
    wishes = Wishes(
        name=name, owner=owner, repo=repo, branch=branch, index_filename=index_filename,
        sync_index_interval=sync_index_interval, pages=enable_gh_pages, use_existing=existing, api_url=api_url_of(api_url),
    )  # fmt: skip
    if dry_run:
        lines = [*plan_lines(wishes), "", wishes.workflow("main"), config_tables(wishes, owner or "<you>")]
        click.echo("\n".join(lines))
        return 0
    import anyio  # noqa: PLC0415  not for --help

    made_for = anyio.run(Setup(wishes, token_of(token, token_env), lambda line: click.echo(line, err=True)).run)
    click.echo(config_tables(wishes, made_for))
    return 0


def _check_name(name: str) -> None:
    """Refuse before anything is made what no configuration takes."""
    if name in RESERVED:
        raise click.UsageError(
            f"--name '{name}' cannot be the name of an index: URLs of the server start with '/{name}'"
        )
    if not name or name.startswith(".") or any(each in "/\\:?#%" or not each.isprintable() for each in name):
        raise click.UsageError("--name stands in URLs: it has no '/', '\\', ':', '?', '#', '%' and no '.' in front")
