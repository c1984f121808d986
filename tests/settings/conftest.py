"""Fixtures of the settings tests: load configurations, and read what is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.settings import Settings, load_settings

GOOD = '[main]\ntype = "file_system"\nread_secret = "foo"\nwrite_secret = "bar"\n'

Load = Callable[..., Settings]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration given as text; keyword arguments go to `load_settings`."""

    def load_text(config: str | None = GOOD, **given: object) -> Settings:
        given.setdefault("environ", {})
        return load_settings(tmp_path / "root", config=config, text_allowed=True, **given)  # type: ignore[arg-type]

    return load_text


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """Return every mistake of a configuration that has some."""

    def mistakes_of(config: str | None = GOOD, **given: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(config, **given)
        return list(caught.value.problems)

    return mistakes_of
