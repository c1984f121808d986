"""The promises in trouble, each once and quickly, without a server; the other files of this folder ask real servers."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from crash.inside import InsideIndex, opened
from crash.nursery import INDEX, storage_of
from wheelyard.compose.log import _UnfailingText
from wheelyard.errors import FileExists, RecordDamaged, StorageFull
from wheelyard.storage.wrapping import storage_error
from wheelyard.testing.crash import package
from wheelyard.testing.crash_suite import state_of

CONFIG = f'[{INDEX}]\ntype = "file_system"\nread_secret = "read-1"\nwrite_secret = "write-1"\nfsync = false\n'
ONE, OTHER = package("demo", "1.0"), package("other", "1.0")


def test_a_log_that_cannot_be_written() -> None:
    """What a full disk or a closed pipe does not take of the log is dropped, and nobody hears of it."""
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as full:
        with pytest.raises(OSError, match="space"):
            full.write("to show that it fails\n")
        log = _UnfailingText(full)
        assert log.write("a line\n") == 7
        log.flush()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, full.fileno())  # so that closing it finds room
        os.close(nothing)


def test_a_limit_on_the_size_of_files_is_told_from_a_full_disk() -> None:
    """Both are the same code, and each says what to do."""
    full = storage_error(OSError(errno.ENOSPC, "x"), store="main")
    limit = storage_error(OSError(errno.EFBIG, "x"), store="main")
    assert isinstance(full, StorageFull)
    assert isinstance(limit, StorageFull)
    assert "make room" in str(full.hint)
    assert "ulimit -f" in str(limit.hint)


@pytest.mark.anyio
async def test_two_indexes_on_one_folder(tmp_path: Path) -> None:
    """What one of them published the other lists at once, and of two files of one name one wins."""
    async with opened(tmp_path, CONFIG) as first, opened(tmp_path, CONFIG) as second:
        await asyncio.gather(first.publish(ONE), second.publish(OTHER), second.publish(ONE))
        both = {"demo": state_of(ONE), "other": state_of(OTHER)}
        assert await first.state() == await second.state() == both

        async def sent(index: InsideIndex, variant: int) -> bool:
            try:
                await index.publish(package("demo", "2.0", variant=variant))
            except FileExists:
                return False
            return True

        assert sorted(await asyncio.gather(sent(first, 1), sent(second, 2))) == [False, True]
        assert await first.state() == await second.state()
        await second.delete("other")
        assert "other" not in await first.state()


@pytest.mark.anyio
async def test_a_lost_file_is_told_and_mended_by_its_publisher(tmp_path: Path) -> None:
    """UP-30: a listed file that is gone is damage of this project only, and the same bytes sent again put it back."""
    async with opened(tmp_path, CONFIG) as index:
        await index.publish(ONE)
        path = storage_of(tmp_path) / f"simple/demo/{ONE.filename}"
        for lost in (path, path.with_name(f"{path.name}.metadata")):
            lost.unlink()
            with pytest.raises(RecordDamaged, match="not there"):
                await index.state()
            await index.publish(ONE)
            assert await index.state() == {"demo": state_of(ONE)}
