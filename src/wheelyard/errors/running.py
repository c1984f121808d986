"""The program itself: documents, configuration, and what it is asked to do as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from wheelyard.errors.base import WheelyardError


class InvalidDocument(WheelyardError):
    """
    Bytes that should be a page, a record or core metadata are not.

    Whoever knows where the bytes came from turns this into `RecordDamaged`, `UpstreamInvalid` or an upload problem.
    """

    code = "invalid-document"


class ArchiveError(WheelyardError):
    """
    An uploaded archive cannot be read safely.

    Attributes:
        part: The part of the archive at fault (`content` when it is the whole).
    """

    code = "archive"

    def __init__(self, message: str, *, part: str = "content") -> None:
        super().__init__(message)
        self.part = part


class Unsupported(WheelyardError):
    """This index or store does not have the ability asked for."""

    code = "unsupported"


class Draining(WheelyardError):
    """The server is stopping and takes no new work."""

    code = "draining"

    def __init__(self) -> None:
        super().__init__("the server is stopping", hint="Try again in a few seconds.")


class BackupError(WheelyardError):
    """A backup cannot be written, read or restored; what was there before is untouched."""

    code = "backup"


class SiteError(WheelyardError):
    """A static site cannot be built where it should be; what was published there before is still whole."""

    code = "site"


class TagSourceError(WheelyardError):
    """
    A repository, or one of its tags, cannot become part of an index of tags; what was published stays.

    Attributes:
        passing: Whether the same may go well the next time.
    """

    code = "tag-source"

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class ConfigError(WheelyardError):
    """
    The configuration is wrong; every mistake is listed.

    Attributes:
        problems: One line each: file, key, what is wrong, what to do.
    """

    code = "config"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
