"""What was sent is not taken, or what is stored cannot be had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wheelyard.errors.base import WheelyardError, shown

# --- uploads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UploadProblem:
    """
    One reason to refuse an upload.

    Attributes:
        field: Form field or part of the file at fault (`name`, `version`, `content`, `RECORD`).
        code: Stable word, documented in `docs/reference/errors.md`.
        text: What is wrong and what to do, one line.
    """

    field: str
    code: str
    text: str


class UploadError(WheelyardError):
    """An upload was refused; nothing of it was kept."""

    code = "upload"


class InvalidUpload(UploadError):
    """The form or the file breaks one or more rules; all problems are named, most important first."""

    code = "invalid-upload"

    def __init__(self, problems: Iterable[UploadProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.text for problem in self.problems))


class FileTooLarge(UploadError):
    """The file is larger than the index allows."""

    code = "file-too-large"

    def __init__(self, filename: str, *, limit_bytes: int) -> None:
        super().__init__(
            f"file '{shown(filename)}' is larger than the {limit_bytes} bytes this index allows",
            hint="An administrator can raise `max_file_bytes` of the index.",
        )
        self.filename = filename
        self.limit_bytes = limit_bytes


class FileExists(UploadError):
    """A file of that name with other content is already published."""

    code = "file-exists"

    def __init__(self, filename: str, *, digest: str) -> None:
        # twine, poetry and pdm look for "already exist" in the text (standards UP-31).
        super().__init__(
            f"File already exists ('{shown(filename)}', with sha256 hash '{digest}').",
            hint="Published files never change. Publish the new content as a new version.",
        )
        self.filename = filename
        self.digest = digest


class ProjectClosed(UploadError):
    """The project's status refuses uploads (PEP 792)."""

    code = "project-closed"

    def __init__(self, project: str, *, status: str, reason: str | None) -> None:
        why = "" if not reason else f": {shown(reason)}"
        super().__init__(
            f"project '{shown(project)}' is {status} and takes no uploads{why}",
            hint=f"`wheelyard status {shown(project)} active` opens it again.",
        )
        self.project = project
        self.status = status
        self.reason = reason


# --- storage -------------------------------------------------------------------------------------------------------


class StorageError(WheelyardError):
    """
    A store did not do what it was asked.

    Attributes:
        store: Name of the store (the index it belongs to), for the log.
        key: Which document or file; None when none in particular.
    """

    code = "storage"

    def __init__(self, message: str, *, store: str = "", key: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.store = store
        self.key = key


class KeyNotFound(StorageError):
    """The store has nothing under that key, and said so with certainty."""

    code = "key-not-found"

    def __init__(self, key: str, *, store: str = "") -> None:
        super().__init__(f"nothing stored under '{shown(key)}'", store=store, key=key)


class InvalidKey(StorageError):
    """A key that no store takes; the store was not asked."""

    code = "invalid-key"

    def __init__(self, key: str, why: str, *, store: str = "") -> None:
        super().__init__(f"'{shown(key)}' is not a storage key: {why}", store=store, key=key)
        self.why = why


class Conflict(StorageError):
    """A record moved since it was read; read again and retry."""

    code = "conflict"

    def __init__(self, key: str, *, store: str = "") -> None:
        super().__init__(
            f"'{shown(key)}' was changed by someone else at the same moment", store=store, key=key, hint="Try again."
        )


class RecordDamaged(StorageError):
    """A stored document or file is not what was stored."""

    code = "record-damaged"

    def __init__(self, key: str, why: str, *, store: str = "") -> None:
        super().__init__(
            f"the stored '{shown(key)}' is damaged: {why}",
            store=store,
            key=key,
            hint="An administrator should run `wheelyard doctor`.",
        )
        self.why = why


class StorageFull(StorageError):
    """
    No room left, or none for a file of that size; nothing was written.

    Attributes:
        file_limit: Whether there is room, and a limit of the system on the size of one file was passed.
    """

    code = "storage-full"

    def __init__(self, *, store: str = "", key: str | None = None, file_limit: bool = False) -> None:
        if file_limit:
            message = "the file passes a limit of the server's system on the size of files; nothing was kept"
            hint = "An administrator can raise the limit (`ulimit -f`); then send the same again."
        else:
            message = "the storage of this index is full; nothing was kept"
            hint = "An administrator has to make room; then send the same again."
        super().__init__(message, store=store, key=key, hint=hint)
        self.file_limit = file_limit


class StorageReadOnly(StorageError):
    """The store refuses writes; nothing was written."""

    code = "storage-read-only"

    def __init__(
        self, *, store: str = "", key: str | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(
            why or "the storage of this index cannot be written",
            store=store,
            key=key,
            hint=hint or "An administrator should check mount options, owner and mode of the storage.",
        )


class StorageUnavailable(StorageError):
    """The store could not be asked; nothing is known."""

    code = "storage-unavailable"
