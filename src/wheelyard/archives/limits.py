"""How much of an archive is read before giving up: every bound on time and memory, with its arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from wheelyard.errors import ArchiveError

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB

PIECE_BYTES = 256 * _KIB  # what is decompressed at once: keeps memory flat, and long enough that hashing frees the GIL

MEMBERS = 100_000  # the largest public wheels have about 30,000
MEMBER_NAME_BYTES = 1024  # Linux stops at 4,096 for a whole path, Windows mostly at 260
DIRECTORY_BYTES = 32 * _MIB  # all names with their headers: 100,000 members with 46 + 200 bytes are 24 MiB
METADATA_BYTES = 4 * _MIB  # the README is in it; the largest seen are about 1 MiB
RECORD_BYTES = 32 * _MIB  # 100,000 rows with a name of 200 bytes and 70 of digest and size are 27 MiB
PART_BYTES = 1 * _MIB  # WHEEL and entry_points.txt: usually a few hundred bytes
TAR_HEADER_BYTES = 64 * _KIB  # PAX records and long names of one member
UNPACKED_BYTES = 16 * _GIB  # unpacked
RATIO = 50  # unpacked to packed; text packs 3 to 10 times, the worst real wheels 20
RATIO_FROM_BYTES = 64 * _MIB  # smaller ones do no harm, however well they pack
HASHED_BYTES = 256 * _MIB  # about 2 s of inflating and hashing; clients hang up after 10 to 15 s
SECONDS = 60.0  # a slow machine reads 256 MiB in a tenth of that


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """
    Bounds for reading one archive.

    Attributes:
        members: Most members, folders included.
        member_name_bytes: Longest name of a member.
        directory_bytes: Largest central directory of a zip; most bytes of extended headers of a tar.
        metadata_bytes: Largest METADATA or PKG-INFO.
        record_bytes: Largest RECORD.
        part_bytes: Largest of the other files that are read (WHEEL, entry_points.txt).
        tar_header_bytes: Largest extended header of one tar member.
        unpacked_bytes: Most bytes unpacked.
        ratio: Most bytes unpacked for each byte of the archive, once there are more than `ratio_from_bytes`.
        ratio_from_bytes: Unpacked size from which the ratio counts.
        hashed_bytes: Wheels that unpack to more are checked by names, sizes and RECORD's rows, but their content is
            not hashed again; the digest of the whole file protects it. 0 switches hashing off.
        seconds: Longest time to read one archive.
        clock: Tells seconds; only differences count.
    """

    members: int = MEMBERS
    member_name_bytes: int = MEMBER_NAME_BYTES
    directory_bytes: int = DIRECTORY_BYTES
    metadata_bytes: int = METADATA_BYTES
    record_bytes: int = RECORD_BYTES
    part_bytes: int = PART_BYTES
    tar_header_bytes: int = TAR_HEADER_BYTES
    unpacked_bytes: int = UNPACKED_BYTES
    ratio: int = RATIO
    ratio_from_bytes: int = RATIO_FROM_BYTES
    hashed_bytes: int = HASHED_BYTES
    seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic


DEFAULT = ArchiveLimits()
"""What an index without settings of its own uses."""


class Budget:
    """
    What is left of the limits while one archive is read.

    Attributes:
        limits: The limits.
        archive_bytes: Size of the archive, for the ratio.
        unpacked_bytes: What was unpacked or announced so far.
    """

    __slots__ = ("_deadline", "archive_bytes", "limits", "unpacked_bytes")

    def __init__(self, limits: ArchiveLimits, *, archive_bytes: int) -> None:
        self.limits = limits
        self.archive_bytes = archive_bytes
        self.unpacked_bytes = 0
        self._deadline = limits.clock() + limits.seconds

    def spend(self, size: int) -> None:
        """
        Count bytes that are unpacked, or that the archive says it unpacks to.

        Raises:
            ArchiveError: More than the limits allow.
        """
        self.unpacked_bytes += size
        limits = self.limits
        if self.unpacked_bytes > limits.unpacked_bytes:
            raise ArchiveError(f"the archive unpacks to more than {limits.unpacked_bytes} bytes")
        if self.unpacked_bytes > max(limits.ratio_from_bytes, limits.ratio * self.archive_bytes):
            raise ArchiveError(
                f"the archive unpacks to more than {limits.ratio} times its own {self.archive_bytes} bytes, "
                "as only archives made to exhaust their reader do"
            )

    def check_time(self) -> None:
        """
        Stop when the time is over.

        Raises:
            ArchiveError: It is.
        """
        if self.limits.clock() > self._deadline:
            raise ArchiveError(f"reading the archive takes longer than {self.limits.seconds:g} seconds")
