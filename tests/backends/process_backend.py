"""A folder backend in another process, for tests: calls go there by pipe, one at a time."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread

from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.errors import Conflict, KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import (
    Absent,
    Backend,
    ByteRange,
    Changes,
    Location,
    PutOutcome,
    Record,
    StoredFile,
    Traits,
)
from wheelyard.storage.spool import PIECE_BYTES, Spool, spool_bytes

ERRORS = {"KeyNotFound": KeyNotFound, "Conflict": Conflict}


class ProcessBackend(Backend):
    """The near end."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def _ask(self, method: str, *arguments: object) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with self._turn:
            pickle.dump((method, arguments), process.stdin)
            process.stdin.flush()
            error, answer = pickle.load(process.stdout)
        if error is None:
            return answer
        if error in ERRORS:
            raise ERRORS[error](answer)
        raise StorageError(f"{error}: {answer}")

    async def _call(self, method: str, *arguments: object) -> Any:
        return await to_thread.run_sync(lambda: self._ask(method, *arguments))

    @property
    def traits(self) -> Traits:
        return Traits(fresh=True, verified_put=True)

    async def start(self) -> None:
        self._process = await to_thread.run_sync(
            lambda: subprocess.Popen(
                [sys.executable, __file__, self._root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        await self._call("start")

    async def stop(self) -> None:
        await self._call("stop")
        process = self._process
        assert process is not None

        def end() -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            assert process.wait(10) == 0

        await to_thread.run_sync(end)

    async def read(self, key: Key) -> Record:
        return await self._call("read", key)  # type: ignore[no-any-return]

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        return await self._call("write", changes, expected)  # type: ignore[no-any-return]

    async def changes(self, cursor: str | None) -> Changes:
        return await self._call("changes", cursor)  # type: ignore[no-any-return]

    def peek(self, key: Key) -> Revision | Absent | None:
        return self._ask("peek", key)  # type: ignore[no-any-return]

    def peek_changes(self) -> str | None:
        return self._ask("peek_changes")  # type: ignore[no-any-return]

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        return await self._call("put", key, b"".join([piece async for piece in spool.pieces()]))  # type: ignore[no-any-return]

    async def stat(self, key: Key) -> StoredFile:
        return await self._call("stat", key)  # type: ignore[no-any-return]

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        content: bytes = await self._call("open", key, byte_range)
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]

    async def locate(self, key: Key) -> Location:
        return await self._call("locate", key)  # type: ignore[no-any-return]

    def local_path(self, key: Key) -> Path:
        return self._root / key

    async def delete(self, key: Key) -> None:
        await self._call("delete", key)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        for file in await self._call("list", prefix):
            yield file


async def answer(backend: FileSystemBackend, method: str, arguments: tuple[Any, ...]) -> object:
    match method:
        case "peek" | "peek_changes":
            return getattr(backend, method)(*arguments)
        case "open" | "list":
            items = [item async for item in getattr(backend, method)(*arguments)]
            return b"".join(items) if method == "open" else items
        case "put":
            assert backend.traits.spool_folder is not None
            spool = await spool_bytes(backend.traits.spool_folder, arguments[1])
            try:
                return await backend.put(arguments[0], spool)
            finally:
                spool.discard()
        case _:
            return await getattr(backend, method)(*arguments)


async def serve(root: Path) -> None:
    backend = FileSystemBackend(root, fsync=False)
    while True:
        try:
            method, arguments = await to_thread.run_sync(pickle.load, sys.stdin.buffer)
        except EOFError:
            return
        reply: tuple[str | None, object]
        try:
            reply = (None, await answer(backend, method, arguments))
        except Exception as error:  # noqa: BLE001  told to the near end
            key = getattr(error, "key", None)
            reply = (type(error).__name__, key if key is not None else str(error))
        pickle.dump(reply, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
