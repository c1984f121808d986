"""What the double answers, one module for each kind of thing; `register` makes all of it known."""

from importlib import import_module

_MODULES = (
    "accounts",
    "apps",
    "asset_host",
    "assets",
    "automation",
    "branches",
    "contents",
    "git_data",
    "graphql",
    "releases",
    "repositories",
)


def register() -> None:
    """Load every module here: each registers its routes when it is loaded, once."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
