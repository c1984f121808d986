"""A site in a bucket of S3, Google Cloud or Azure: each object with its media type, so that no web server has to guess."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wheelyard.errors import SiteError, shown
from wheelyard.site.destination import Content, Destination

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_WORKERS = 16  # objects under way at once: a bucket answers each in some ten milliseconds


class BucketDestination(Destination):
    """
    A prefix of a bucket.

    Args:
        store: What the object-store library made of its address.
        name: Its address, for people.
    """

    workers = _WORKERS

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.name = name
        self._store = store

    @classmethod
    def of_url(cls, url: str) -> Self:
        """
        Make the destination of a URL: `s3://bucket/prefix`, `gs://…`, `az://…`, or the https address of a bucket.

        Credentials and region are taken from where the tools of the cloud look: environment, profile, machine.

        Raises:
            SiteError: No bucket's URL, or the library is not installed.
        """
        try:
            from obstore.exceptions import BaseError  # noqa: PLC0415  an extra: only who has a bucket installs it
            from obstore.store import from_url  # noqa: PLC0415  as above
        except ImportError:
            hint = "Install it with pip install 'wheelyard[objectstore]'."
            raise SiteError("the library that speaks to buckets is not installed", hint=hint) from None
        try:
            return cls(from_url(url), url)
        except (BaseError, ValueError) as error:
            raise SiteError(f"'{shown(url)}' is no address of a bucket: {_reason(error)}") from error

    def open(self) -> None:
        """Nothing: each object is asked for by itself."""

    def read(self, path: str) -> bytes | None:
        """Get an object."""
        with self._as_site_error(path):
            try:
                return bytes(self._store.get(path).bytes())
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes, kind: Content) -> None:
        """Put an object."""
        with self._as_site_error(path):
            self._store.put(path, content, attributes=_attributes(kind))

    def put(self, path: str, source: str, kind: Content) -> None:
        """Put an object from a file, in parts when it is large."""
        with self._as_site_error(path):
            self._store.put(path, Path(source), attributes=_attributes(kind))

    def remove(self, path: str) -> None:
        """Delete an object."""
        with self._as_site_error(path):
            try:
                self._store.delete(path)
            except FileNotFoundError:
                return

    def paths(self, prefix: str) -> Iterator[str]:
        """List objects."""
        with self._as_site_error(prefix):
            for batch in self._store.list(prefix):
                for entry in batch:
                    yield entry["path"]

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def _as_site_error(self, path: str) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415  as in `of_url`

        try:
            yield
        except (BaseError, OSError) as error:
            raise SiteError(f"'{shown(path)}' of '{shown(self.name)}' failed: {_reason(error)}") from error


def _attributes(kind: Content) -> dict[str, str]:
    return {"Content-Type": kind.media_type, "Cache-Control": kind.caching}


def _reason(error: Exception) -> str:
    """Return the first line of what the library says: the rest is a dump of its own values."""
    return shown(str(error).partition("\n")[0] or type(error).__name__)
