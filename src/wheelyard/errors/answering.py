"""What was asked for is not there, may not be had, or cannot be understood."""

from __future__ import annotations

from collections.abc import Sequence

from wheelyard.errors.base import WheelyardError, shown

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
        rule: Stable word for the rule, as `wheelyard why` shows it.
    """

    code = "project-not-looked-up"

    def __init__(self, project: str, *, reason: str, rule: str = "") -> None:
        super().__init__(project)
        self.message = f"{self.message}, and does not look it up elsewhere: {shown(reason)}"
        self.args = (self.message,)
        self.reason = reason
        self.rule = rule


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
            hint=f"`wheelyard why {shown(project)}` explains it; an administrator can change the policy.",
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
