"""
Wheelyard: a private Python package index on storage that a team already has.

The folder list is the layer list; `docs/architecture.md` explains it.
"""

__version__ = "0.1.0"
