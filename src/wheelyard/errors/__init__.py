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

from wheelyard.errors.answering import AccessError as AccessError
from wheelyard.errors.answering import ActionGone as ActionGone
from wheelyard.errors.answering import ClientGone as ClientGone
from wheelyard.errors.answering import CredentialsMissing as CredentialsMissing
from wheelyard.errors.answering import CredentialsWrong as CredentialsWrong
from wheelyard.errors.answering import CrossSiteRequest as CrossSiteRequest
from wheelyard.errors.answering import DistFileNotFound as DistFileNotFound
from wheelyard.errors.answering import Filtered as Filtered
from wheelyard.errors.answering import IndexNotFound as IndexNotFound
from wheelyard.errors.answering import InvalidFilename as InvalidFilename
from wheelyard.errors.answering import InvalidName as InvalidName
from wheelyard.errors.answering import InvalidRequest as InvalidRequest
from wheelyard.errors.answering import MetadataNotFound as MetadataNotFound
from wheelyard.errors.answering import MethodNotAllowed as MethodNotAllowed
from wheelyard.errors.answering import NotAcceptable as NotAcceptable
from wheelyard.errors.answering import NotFound as NotFound
from wheelyard.errors.answering import NotOffered as NotOffered
from wheelyard.errors.answering import PermissionDenied as PermissionDenied
from wheelyard.errors.answering import ProjectNotFound as ProjectNotFound
from wheelyard.errors.answering import ProjectNotLookedUp as ProjectNotLookedUp
from wheelyard.errors.answering import ReleaseNotFound as ReleaseNotFound
from wheelyard.errors.answering import RequestError as RequestError
from wheelyard.errors.answering import RequestTooLarge as RequestTooLarge
from wheelyard.errors.base import WheelyardError as WheelyardError
from wheelyard.errors.base import shown as shown
from wheelyard.errors.elsewhere import PolicyUnavailable as PolicyUnavailable
from wheelyard.errors.elsewhere import UpstreamError as UpstreamError
from wheelyard.errors.elsewhere import UpstreamInvalid as UpstreamInvalid
from wheelyard.errors.elsewhere import UpstreamOffline as UpstreamOffline
from wheelyard.errors.elsewhere import UpstreamRefused as UpstreamRefused
from wheelyard.errors.elsewhere import UpstreamUnavailable as UpstreamUnavailable
from wheelyard.errors.running import ArchiveError as ArchiveError
from wheelyard.errors.running import BackupError as BackupError
from wheelyard.errors.running import ConfigError as ConfigError
from wheelyard.errors.running import Draining as Draining
from wheelyard.errors.running import InvalidDocument as InvalidDocument
from wheelyard.errors.running import SiteError as SiteError
from wheelyard.errors.running import TagSourceError as TagSourceError
from wheelyard.errors.running import Unsupported as Unsupported
from wheelyard.errors.storing import Conflict as Conflict
from wheelyard.errors.storing import FileExists as FileExists
from wheelyard.errors.storing import FileTooLarge as FileTooLarge
from wheelyard.errors.storing import InvalidKey as InvalidKey
from wheelyard.errors.storing import InvalidUpload as InvalidUpload
from wheelyard.errors.storing import KeyNotFound as KeyNotFound
from wheelyard.errors.storing import ProjectClosed as ProjectClosed
from wheelyard.errors.storing import RecordDamaged as RecordDamaged
from wheelyard.errors.storing import StorageError as StorageError
from wheelyard.errors.storing import StorageFull as StorageFull
from wheelyard.errors.storing import StorageReadOnly as StorageReadOnly
from wheelyard.errors.storing import StorageUnavailable as StorageUnavailable
from wheelyard.errors.storing import UploadError as UploadError
from wheelyard.errors.storing import UploadProblem as UploadProblem
