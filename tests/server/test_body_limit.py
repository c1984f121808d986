"""The largest request body is a limit however the body comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sites import WRITE, composed
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("room", [-1, 0])
async def test_max_request_body(tmp_path: Path, room: int, chunked: bool) -> None:  # noqa: FBT001
    """AR-11: a body of exactly the limit is taken, one byte more is 413, announced or in chunks."""
    path = WheelBuilder().build(tmp_path)
    content_type, body = multipart_body(form_fields(path), path.name, WheelBuilder().bytes())

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    async with composed(tmp_path, max_request_body_bytes=len(body) + room) as site:
        content = pieces() if chunked else body
        headers = {"content-type": content_type}
        answer = await site.ask("POST", "/legacy/", auth=WRITE, headers=headers, content=content)
        assert answer.status_code == (200 if room == 0 else 413), answer.text
        assert bool(await site.files("demo")) == (room == 0)
