"""Files of an upstream: redirected to, or streamed exactly as long as promised; and their metadata."""

import hashlib
from contextlib import aclosing
from dataclasses import replace

import pytest

from plugins.clocks import SteppingClock
from wheelyard.errors import DistFileNotFound, MetadataNotFound, ProjectNotFound, UpstreamInvalid, UpstreamUnavailable
from wheelyard.index.interface import FileBody, StreamBody
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.model import Filename, NormalizedName
from wheelyard.storage.interface import ByteRange, RedirectUrl
from wheelyard.testing.fake_upstream import (
    Answer,
    FakeUpstream,
    UpstreamFile,
    html_page,
    json_page,
    redirect,
    with_headers,
)

from .conftest import Opened

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
NAME = Filename("six-1.0-py3-none-any.whl")
CONTENT = bytes(range(256)) * 1000
METADATA = b"Metadata-Version: 2.1\r\nName: six\nVersion: 1.0\n\n\xff not UTF-8"
WHEEL = UpstreamFile(filename=NAME, content=CONTENT, metadata=METADATA)


async def read(found: FileBody, byte_range: ByteRange | None = None) -> bytes:
    assert isinstance(found.body, StreamBody)
    async with aclosing(found.body.open(byte_range)) as pieces:  # type: ignore[type-var]  # an async generator by contract
        return b"".join([piece async for piece in pieces])


@pytest.fixture
async def streaming(open_index: Opened, upstream: FakeUpstream) -> UpstreamIndex:
    upstream.offer("six", WHEEL)
    return await open_index(upstream.root, stream_files=True)


async def test_redirect(index: UpstreamIndex, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """FILE-05: a file that anybody may fetch is answered by its URL; its bytes do not pass through here."""
    upstream.offer("six", WHEEL)
    found = await index.file(SIX, NAME)
    assert isinstance(found.body, RedirectUrl)
    assert found.body.url == f"{upstream.url}{WHEEL.path}"
    assert found.body.expires > clock.now
    assert (found.size, found.file.sha256) == (len(CONTENT), WHEEL.sha256)
    assert upstream.asked(WHEEL.path) == 0


async def test_credentials_stream(open_index: Opened, upstream: FakeUpstream) -> None:
    """FILE-05: a file that needs our credentials is streamed with them, since a redirect could not carry them."""
    upstream.credentials = ("u", "p")
    upstream.offer("six", WHEEL)
    index = await open_index(upstream.root, credentials=("u", "p"))
    assert await read(await index.file(SIX, NAME)) == CONTENT
    assert await index.metadata(SIX, NAME) == METADATA


async def test_file_host_sees_no_credentials(open_index: Opened, upstream: FakeUpstream) -> None:
    """FILE-05: a file on another origin is redirected to, and its metadata asked for without our credentials."""
    elsewhere = replace(WHEEL, url=f"{upstream.other_origin}{WHEEL.path}")
    upstream.offer("six", elsewhere)
    index = await open_index(upstream.root, credentials=("u", "p"))
    assert isinstance((await index.file(SIX, NAME)).body, RedirectUrl)
    await index.metadata(SIX, NAME)
    assert "authorization" not in upstream.questions_for(f"{WHEEL.path}.metadata")[0].headers


async def test_whole(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """FILE-01: a streamed file has exactly the upstream's bytes, asked for without any encoding."""
    found = await streaming.file(SIX, NAME)
    assert (await read(found), found.size) == (CONTENT, len(CONTENT))
    assert upstream.questions_for(WHEEL.path)[0].headers["accept-encoding"] == "identity"


RANGES = [(0, 1), (0, 100), (255_900, 256_000), (1000, 70_000), (255_999, 999_999)]


@pytest.mark.parametrize(("start", "stop"), RANGES)
@pytest.mark.parametrize("obeyed", [True, False], ids=["206", "200"])
async def test_ranges(streaming: UpstreamIndex, upstream: FakeUpstream, start: int, stop: int, *, obeyed: bool) -> None:
    """FILE-02: a range has exactly its bytes, whether the upstream serves ranges or not."""
    upstream.script(WHEEL.path, Answer(body=CONTENT, ranges=obeyed))
    found = await streaming.file(SIX, NAME)
    assert await read(found, ByteRange(start, stop)) == CONTENT[start:stop]


async def test_redirected_file(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """FILE-05: a stream follows the upstream's redirect to its file store."""
    upstream.script(WHEEL.path, redirect(f"{upstream.other_origin}/store/1"))
    upstream.script("/store/1", Answer(body=CONTENT))
    assert await read(await streaming.file(SIX, NAME)) == CONTENT


async def test_early_close(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """FILE-01: a stream may be closed after its first piece; the index answers on."""
    found = await streaming.file(SIX, NAME)
    assert isinstance(found.body, StreamBody)
    async with aclosing(found.body.open(None)) as pieces:  # type: ignore[type-var]  # an async generator by contract
        async for piece in pieces:
            assert CONTENT.startswith(piece)
            break
    assert await read(await streaming.file(SIX, NAME)) == CONTENT


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Answer(body=CONTENT, cut_after=1000), UpstreamUnavailable, id="cut off"),
        pytest.param(Answer(body=CONTENT[:-1]), UpstreamInvalid, id="shorter"),
        pytest.param(Answer(body=CONTENT + b"!"), UpstreamInvalid, id="longer"),
        pytest.param(
            Answer(body=CONTENT[:-1], headers={"content-length": ""}),
            UpstreamUnavailable,
            id="shorter, length not told",
        ),
        pytest.param(Answer(body=CONTENT, headers={"content-encoding": "gzip"}), UpstreamInvalid, id="encoded"),
        pytest.param(Answer(status=404), DistFileNotFound, id="404"),
        pytest.param(Answer(status=403), UpstreamUnavailable, id="403"),
        pytest.param(Answer(status=500), UpstreamUnavailable, id="500"),
        pytest.param(Answer(status=503), UpstreamUnavailable, id="503 thrice"),
        pytest.param(Answer(status=206, body=CONTENT), UpstreamInvalid, id="206 unasked"),
    ],
)
async def test_broken_streams(
    streaming: UpstreamIndex, upstream: FakeUpstream, answer: Answer, error: type[Exception]
) -> None:
    """DC-06: a stream that is not what the page promised ends in an error, never in silence."""
    upstream.script(WHEEL.path, answer)
    found = await streaming.file(SIX, NAME)
    with pytest.raises(error):
        await read(found)


async def test_wrong_range(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """FILE-02: an upstream that sends another range than asked for is not believed."""
    answer = Answer(status=206, body=CONTENT[:10], headers={"content-range": f"bytes 0-9/{len(CONTENT)}"})
    upstream.script(WHEEL.path, answer)
    found = await streaming.file(SIX, NAME)
    with pytest.raises(UpstreamInvalid):
        await read(found, ByteRange(100, 110))


async def test_opening_is_retried(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-03: a gateway's hiccup at the start of a file is asked about again."""
    upstream.script(WHEEL.path, Answer(status=503), Answer(body=CONTENT))
    assert await read(await streaming.file(SIX, NAME)) == CONTENT


@pytest.mark.parametrize("obeyed", [True, False], ids=["206", "200"])
async def test_size_is_asked_for(open_index: Opened, upstream: FakeUpstream, *, obeyed: bool) -> None:
    """DC-05: of an HTML page, which tells no sizes, a file's size is asked for by its first byte."""
    upstream.offer("six", WHEEL, page=html_page([WHEEL]))
    upstream.script(WHEEL.path, Answer(body=CONTENT, ranges=obeyed))
    index = await open_index(upstream.root, stream_files=True)
    found = await index.file(SIX, NAME)
    assert found.size == len(CONTENT)
    assert await read(found) == CONTENT
    assert {question.method for question in upstream.questions} == {"GET"}


async def test_size_not_told(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-05: a file whose size nobody tells is not opened: its end could not be told from a broken connection."""
    upstream.offer("six", WHEEL, page=html_page([WHEEL]))
    upstream.script(WHEEL.path, with_headers(Answer(body=CONTENT), content_length=""))
    with pytest.raises(UpstreamInvalid, match="size"):
        await (await open_index(upstream.root)).file(SIX, NAME)


async def test_unknown(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """URL-07: an unknown project and an unknown file are told apart, for bytes and for metadata."""
    upstream.offer("six", WHEEL)
    for ask in (index.file, index.metadata, index.description):
        with pytest.raises(ProjectNotFound):
            await ask(NormalizedName("seven"), NAME)
        with pytest.raises(DistFileNotFound):
            await ask(SIX, Filename("six-9.9.tar.gz"))


async def test_new_file_behind_a_remembered_page(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """CACHE-02: a file that the remembered page does not list is looked for on a new page before it is denied."""
    upstream.script("/simple/six/", with_headers(json_page("six", []), cache_control="max-age=600"))
    assert (await index.page(SIX)).files == ()
    upstream.offer("six", WHEEL)
    assert (await index.file(SIX, NAME)).size == len(CONTENT)


async def test_quarantined(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """ST-06: no file of a quarantined upstream project is opened, nor its metadata."""
    upstream.offer("six", WHEEL, page=json_page("six", [WHEEL], **{"project-status": {"status": "quarantined"}}))
    for ask in (index.file, index.metadata, index.description):
        with pytest.raises(DistFileNotFound):
            await ask(SIX, NAME)


async def test_yanked_file_opens(streaming: UpstreamIndex, upstream: FakeUpstream) -> None:
    """YANK-04: a yanked file of an upstream is opened like any other."""
    upstream.offer("six", replace(WHEEL, yanked="leaks"))
    found = await streaming.file(SIX, NAME)
    assert found.file.yanked == "leaks"
    assert await read(found) == CONTENT


async def test_metadata(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """META-01: metadata arrives byte for byte."""
    upstream.offer("six", WHEEL)
    assert await index.metadata(SIX, NAME) == METADATA
    assert await index.description(SIX, NAME) == METADATA


async def test_metadata_beside_a_query(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """META-01: the address of metadata is made from the path of a file's URL, not from its query."""
    upstream.offer("six", replace(WHEEL, url=f"{WHEEL.path}?token=1"))
    upstream.script(f"{WHEEL.path}.metadata?token=1", Answer(body=METADATA))
    assert await index.metadata(SIX, NAME) == METADATA


async def test_no_metadata(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """META-04: where none is advertised none is asked for."""
    upstream.offer("six", replace(WHEEL, metadata=None))
    with pytest.raises(MetadataNotFound):
        await index.metadata(SIX, NAME)
    assert await index.description(SIX, NAME) is None
    assert upstream.asked(f"{WHEEL.path}.metadata") == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body=METADATA + b"!"), UpstreamInvalid),
        (Answer(status=404), MetadataNotFound),
        (Answer(status=401), UpstreamUnavailable),
        (Answer(status=500), UpstreamUnavailable),
    ],
    ids=["wrong digest", "404", "401", "500"],
)
async def test_broken_metadata(
    index: UpstreamIndex, upstream: FakeUpstream, answer: Answer, error: type[Exception]
) -> None:
    """META-01: metadata without the advertised digest is not passed on, and failures stay failures."""
    upstream.offer("six", WHEEL)
    upstream.script(f"{WHEEL.path}.metadata", answer)
    with pytest.raises(error):
        await index.metadata(SIX, NAME)


async def test_metadata_without_digest(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """META-01: metadata that is advertised without a digest is taken as it is."""
    upstream.offer("six", replace(WHEEL, keys={"core-metadata": True}))
    assert hashlib.sha256(await index.metadata(SIX, NAME)).digest() == hashlib.sha256(METADATA).digest()
