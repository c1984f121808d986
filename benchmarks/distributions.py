"""
Distribution files for the corpus: valid, small, with real metadata, and the same bytes each time.

Rule 1: the bytes follow from name, version and size alone; a corpus made twice is the same corpus.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wheelyard.model import DistFile, Filename
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

PUBLISHED = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
_STORED = 0
_MIB = 1024 * 1024
_HEADERS = (
    ("Summary", "A project that exists to be measured"),
    ("Author-email", "Measured Projects <measured@example.org>"),
    ("License-Expression", "MIT"),
    ("Keywords", "measured,benchmark,generated"),
    ("Classifier", "Development Status :: 5 - Production/Stable"),
    ("Classifier", "Intended Audience :: Developers"),
    ("Classifier", "Programming Language :: Python :: 3"),
    ("Classifier", "Topic :: Software Development :: Libraries"),
    ("Project-URL", "Documentation, https://example.org/docs"),
    ("Project-URL", "Source, https://example.org/source"),
    ("Description-Content-Type", "text/markdown"),
)
_DESCRIPTION = (
    "# Measured\n\n" + "A paragraph of the kind that real descriptions have, so that metadata has a size.\n" * 8
)


@dataclass(frozen=True, slots=True)
class Made:
    """
    One generated file.

    Attributes:
        filename: Its name.
        content: Its bytes.
        metadata: Its core metadata, byte for byte.
        kind: `bdist_wheel` or `sdist`.
        version: Of its release.
    """

    filename: str
    content: bytes
    metadata: bytes
    kind: str
    version: str

    def entry(self) -> DistFile:
        """Return the entry of the project page, as a publish of this file makes it."""
        metadata_sha256 = hashlib.sha256(self.metadata).hexdigest()
        moment = PUBLISHED + timedelta(seconds=int.from_bytes(self.filename.encode()[:16]) % 10_000_000)
        return DistFile(
            filename=Filename(self.filename),
            url=self.filename,
            hashes={"sha256": hashlib.sha256(self.content).hexdigest()},
            size=len(self.content),
            upload_time=moment,
            requires_python=">=3.8",
            core_metadata={"sha256": metadata_sha256},
            private={
                "_blake2b_256": hashlib.blake2b(self.content, digest_size=32).hexdigest(),
                "_kind": self.kind,
                "_md5": hashlib.md5(self.content, usedforsecurity=False).hexdigest(),
                "_metadata": metadata_sha256,
                "_uploader": "benchmark:write",
                "_version": self.version,
            },
        )


def make_wheel(
    name: str, version: str, *, size: int = 4096, tag: str = "py3-none-any", requires: Sequence[str] = ()
) -> Made:
    """
    Make one wheel.

    Args:
        name: Normalised project name.
        version: Its version.
        size: Bytes of content that does not compress.
        tag: Compressed tag set.
        requires: Requirements of the release.
    """
    module = name.replace("-", "_")
    builder = WheelBuilder(
        name=name,
        version=version,
        tag=tag,
        requires_python=">=3.8",
        requires_dist=tuple(requires),
        headers=_HEADERS,
        description=_DESCRIPTION,
        files={
            f"{module}/__init__.py": f'__version__ = "{version}"\n'.encode(),
            f"{module}/data.bin": _noise(name, size),
        },
        method=_STORED if size >= _MIB else 8,
    )
    return Made(builder.file_name, builder.bytes(), builder.metadata_bytes(), "bdist_wheel", version)


def make_sdist(name: str, version: str, *, size: int = 4096, requires: Sequence[str] = ()) -> Made:
    """Make one sdist; arguments as of `make_wheel`."""
    builder = SdistBuilder(
        name=name,
        version=version,
        requires_python=">=3.8",
        requires_dist=tuple(requires),
        headers=_HEADERS,
        description=_DESCRIPTION,
        files={
            "pyproject.toml": b"[build-system]\nrequires = []\n",
            f"{name.replace('-', '_')}/data.bin": _noise(name, size),
        },
    )
    return Made(builder.file_name, builder.bytes(), builder.metadata_bytes(), "sdist", version)


def _noise(seed: str, size: int) -> bytes:
    """Return bytes that do not compress; large ones repeat a mebibyte."""
    block = random.Random(seed).randbytes(min(size, _MIB))
    return (block * (size // len(block) + 1))[:size] if size else b""
