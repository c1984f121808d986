"""
Settings: what the server is told, as frozen values that were checked.

Only `compose` and `cli` see them; every other part receives objects.
"""

from wheelyard.settings.load import keep_configuration, load_settings, reconfigured
from wheelyard.settings.values import (
    DEFAULT_EXTRA_INDEX_URL,
    IndexSettings,
    LimitSettings,
    Secret,
    ServerSettings,
    Settings,
)

__all__ = [
    "DEFAULT_EXTRA_INDEX_URL",
    "IndexSettings",
    "LimitSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "keep_configuration",
    "load_settings",
    "reconfigured",
]
