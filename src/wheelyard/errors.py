"""
Every way this program can fail, in one tree.

    WheelyardError
    ├── NotFound
    │   ├── IndexNotFound
    │   ├── ProjectNotFound
    │   │   └── ProjectNotLookedUp
    │   ├── ReleaseNotFound
    │   ├── DistFileNotFound
    │   └── MetadataNotFound
    ├── AccessError
    │   ├── CredentialsMissing
    │   ├── CredentialsWrong
    │   ├── PermissionDenied
    │   ├── NotOffered
    │   ├── Filtered
    │   └── CrossSiteRequest
    ├── RequestError
    │   ├── InvalidName
    │   ├── InvalidFilename
    │   ├── InvalidRequest
    │   │   └── ClientGone
    │   ├── NotAcceptable
    │   ├── RequestTooLarge
    │   ├── MethodNotAllowed
    │   └── ActionGone
    ├── UploadError
    │   ├── InvalidUpload
    │   ├── FileTooLarge
    │   ├── FileExists
    │   └── ProjectClosed
    ├── StorageError
    │   ├── KeyNotFound
    │   ├── InvalidKey
    │   ├── Conflict
    │   ├── RecordDamaged
    │   ├── StorageFull
    │   ├── StorageReadOnly
    │   └── StorageUnavailable
    ├── PolicyUnavailable
    ├── UpstreamError
    │   ├── UpstreamUnavailable
    │   │   ├── UpstreamRefused
    │   │   └── UpstreamOffline
    │   └── UpstreamInvalid
    ├── InvalidDocument
    ├── ArchiveError
    ├── Unsupported
    ├── Draining
    ├── BackupError
    ├── TagSourceError
    ├── SiteError
    └── ConfigError

Rule 1: errors do not know HTTP; `server/problems.py` maps each `code` to a status.
Rule 2: the text says what was refused, the value in quotes, why, and what to do. No secret, no path of the server's disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

_SHOWN_CHARACTERS = 200  # longest piece of a sender's input repeated in a message


def shown(value: object) -> str:
    """Return `value` for use in a message: printable, bounded, quotes kept apart from ours."""
    text = str(value)
    cleaned = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    if len(cleaned) > _SHOWN_CHARACTERS:
        return cleaned[:_SHOWN_CHARACTERS] + "…"
    return cleaned


class WheelyardError(Exception):
    """
    Root of all errors of this program.

    Attributes:
        code: Stable word for programs; documented in `docs/reference/errors.md`.
        hint: What the reader can do about it; None when the message says it.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# --- not found -----------------------------------------------------------------------------------------------------


class NotFound(WheelyardError):
    """What was asked for is not here."""

    code = "not-found"


class IndexNotFound(NotFound):
    """No index of that name on this server."""

    code = "index-not-found"

    def __init__(self, index: str) -> None:
        super().__init__(f"this server has no index '{shown(index)}'")
        self.index = index


class ProjectNotFound(NotFound):
    """This index has no such project, and said so with certainty."""

    code = "project-not-found"

    def __init__(self, project: str) -> None:
        super().__init__(f"this index has no project '{shown(project)}'")
        self.project = project


class ProjectNotLookedUp(ProjectNotFound):
    """
    This index does not have the project, and a rule keeps the name from being asked of any other.

    Attributes:
        reason: Which rule, in words for the caller.
    """

    code = "project-not-looked-up"

    def __init__(self, project: str, *, reason: str) -> None:
        super().__init__(project)
        self.message = f"{self.message}, and does not look it up elsewhere: {shown(reason)}"
        self.args = (self.message,)
        self.reason = reason


class ReleaseNotFound(NotFound):
    """The project has no release of that version."""

    code = "release-not-found"

    def __init__(self, project: str, version: str) -> None:
        super().__init__(f"project '{shown(project)}' has no release '{shown(version)}'")
        self.project = project
        self.version = version


class DistFileNotFound(NotFound):
    """The project has no file of that name."""

    code = "file-not-found"

    def __init__(self, project: str, filename: str) -> None:
        super().__init__(f"project '{shown(project)}' has no file '{shown(filename)}'")
        self.project = project
        self.filename = filename


class MetadataNotFound(NotFound):
    """The file exists but has no separate core metadata."""

    code = "metadata-not-found"

    def __init__(self, project: str, filename: str) -> None:
        super().__init__(f"file '{shown(filename)}' of project '{shown(project)}' has no separate metadata")
        self.project = project
        self.filename = filename


# --- access --------------------------------------------------------------------------------------------------------


class AccessError(WheelyardError):
    """The caller may not do this, or we do not know who the caller is."""

    code = "access"


class CredentialsMissing(AccessError):
    """No credentials came, and this needs some."""

    code = "credentials-missing"

    def __init__(self, index: str | None = None, *, hint: str | None = None) -> None:
        what = "this index" if index is None else f"index '{shown(index)}'"
        super().__init__(
            f"{what} is private: credentials are needed",
            hint=hint or "Send Basic authentication: the index name as user name, its secret as password.",
        )
        self.index = index


class CredentialsWrong(AccessError):
    """Credentials came, and they are not right."""

    code = "credentials-wrong"

    def __init__(self, *, hint: str | None = None) -> None:
        super().__init__(
            "the user name or password is not right",
            hint=hint or "The user name is the name of the index, the password its read or write secret.",
        )


class PermissionDenied(AccessError):
    """The caller is known and may not do this."""

    code = "permission-denied"

    def __init__(self, action: str, *, index: str, hint: str | None = None) -> None:
        super().__init__(f"these credentials may not {action} index '{shown(index)}'", hint=hint)
        self.action = action
        self.index = index


class NotOffered(AccessError):
    """
    The index has it, and a rule of this index does not let anybody have it.

    Attributes:
        what: What was asked for (`file 'x-1.0.tar.gz'`).
        reason: Which rule, in words for the caller.
    """

    code = "not-offered"

    def __init__(self, what: str, *, reason: str) -> None:
        super().__init__(
            f"{shown(what)} is not offered by this index: {shown(reason)}",
            hint="An administrator can change the rules of the index.",
        )
        self.what = what
        self.reason = reason


class Filtered(AccessError):
    """
    Another index has it, and the policy of this one leaves it out.

    Attributes:
        what: What was asked for (`file 'x-1.0.tar.gz'`).
        rule: Stable word for the rule, as `wheelyard why` shows it.
        reason: The rule in words for the caller.
        until: When it will be offered by itself, ISO 8601; None for not by itself.
    """

    code = "filtered"

    def __init__(self, what: str, *, rule: str, reason: str, until: str | None = None, project: str = "") -> None:
        super().__init__(
            f"{shown(what)} is left out by the policy of this index: {shown(reason)}",
            hint=f"`wheelyard why {shown(project)}` explains it; an administrator can make an exception.",
        )
        self.what = what
        self.rule = rule
        self.reason = reason
        self.until = until


class CrossSiteRequest(AccessError):
    """A form was sent from a page of another site."""

    code = "cross-site-request"

    def __init__(self) -> None:
        super().__init__(
            "this form was sent from another site and was refused",
            hint="Open the page on this server and send its form again.",
        )


# --- requests ------------------------------------------------------------------------------------------------------


class RequestError(WheelyardError):
    """The request itself is not right."""

    code = "request"


class InvalidName(RequestError):
    """Not a project name."""

    code = "invalid-name"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{shown(name)}' is not a project name",
            hint="Names start and end with an ASCII letter or digit and contain only letters, digits, '.', '_' and '-'.",
        )
        self.name = name


class InvalidFilename(RequestError):
    """Not the name of a wheel or an sdist."""

    code = "invalid-filename"

    def __init__(self, filename: str, why: str) -> None:
        super().__init__(f"'{shown(filename)}' is not the name of a distribution file: {why}")
        self.filename = filename
        self.why = why


class InvalidRequest(RequestError):
    """Something in the request cannot be understood or is not allowed."""

    code = "invalid-request"


class ClientGone(InvalidRequest):
    """The client left before its request was complete; nobody reads the answer."""

    code = "client-gone"

    def __init__(self) -> None:
        super().__init__("the request ended before it was complete", hint="Send it again.")


class NotAcceptable(RequestError):
    """None of the representations the caller accepts exists here."""

    code = "not-acceptable"

    def __init__(self, accept: str, supported: Sequence[str]) -> None:
        super().__init__(
            f"nothing here fits 'Accept: {shown(accept)}'",
            hint="Supported: " + ", ".join(supported),
        )
        self.accept = accept
        self.supported = tuple(supported)


class RequestTooLarge(RequestError):
    """A part of the request is larger than a limit; see `FileTooLarge` for uploaded files."""

    code = "request-too-large"

    def __init__(self, what: str, *, limit_bytes: int) -> None:
        super().__init__(f"{what} is larger than {limit_bytes} bytes")
        self.what = what
        self.limit_bytes = limit_bytes


class MethodNotAllowed(RequestError):
    """The address exists and takes other methods."""

    code = "method-not-allowed"

    def __init__(self, method: str, path: str, *, allowed: Sequence[str], hint: str | None = None) -> None:
        super().__init__(f"'{shown(path)}' does not take {shown(method)}", hint=hint)
        self.method = method
        self.path = path
        self.allowed = tuple(allowed)


class ActionGone(RequestError):
    """An action that indexes had once and no longer have."""

    code = "action-gone"

    def __init__(self, action: str) -> None:
        super().__init__(f"':action={shown(action)}' is no longer needed", hint="Upload the files instead.")
        self.action = action


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


# --- policy --------------------------------------------------------------------------------------------------------


class PolicyUnavailable(WheelyardError):
    """The policy of the index cannot be applied right now; what it might leave out is not offered."""

    code = "policy-unavailable"


# --- upstream ------------------------------------------------------------------------------------------------------


class UpstreamError(WheelyardError):
    """Another index that we read did not answer as it should."""

    code = "upstream"

    def __init__(self, message: str, *, upstream: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.upstream = upstream


class UpstreamUnavailable(UpstreamError):
    """Could not ask, or it answered with a failure; nothing is known about the project."""

    code = "upstream-unavailable"


class UpstreamRefused(UpstreamUnavailable):
    """It wants other credentials than this server has; nothing is known about the project."""

    code = "upstream-refused"


class UpstreamOffline(UpstreamUnavailable):
    """This server was told to ask nobody, and has no copy; nothing is known about the project."""

    code = "upstream-offline"


class UpstreamInvalid(UpstreamError):
    """It answered something that is no project page."""

    code = "upstream-invalid"


# --- the rest ------------------------------------------------------------------------------------------------------


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
