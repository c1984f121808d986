"""An index as of an instant: which instants there are, and what was there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.test_policy_index import Elsewhere
from wheelyard.errors import DistFileNotFound, InvalidRequest, NotFound, ProjectNotFound, Unsupported
from wheelyard.index.interface import Delete
from wheelyard.index.point_in_time import PointInTimeIndex, check_past, parse_instant
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.server.targets import Kind, parse_target

SIX = NormalizedName("six")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T12:30:00Z", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-01t12:30:00z", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-01T12:30:00.25Z", datetime(2026, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-05-01T12:30:00+02:00", datetime(2026, 5, 1, 10, 30, tzinfo=UTC)),
        ("2026-05-01T00:30:00-05:30", datetime(2026, 5, 1, 6, 0, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_instants(text: str, instant: datetime) -> None:
    """RFC 3339 instants, and dates, which mean their first moment in UTC."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-5-1",
        "20260501",
        "2026-02-30",
        "2025-02-29",
        "2026-05-01T12:30",
        "2026-05-01T12:30:00",
        "2026-05-01 12:30:00Z",
        "2026-05-01T25:00:00Z",
        "2026-05-01T12:30:60Z",
        "2026-05-01T12:30:00+0200",
        "2026-W18-5",
        "0001-01-01T00:00:00+23:00",
        "\uff12026-05-01",
        "2026-05-01\n",
        "2026-05-01Z",
    ],
)
def test_no_instants(text: str) -> None:
    """What is no instant is refused with a text that shows one."""
    with pytest.raises(InvalidRequest, match="no instant") as caught:
        parse_instant(text)
    assert "2026-05-01T12:00:00Z" in (caught.value.hint or "")


def test_only_the_past() -> None:
    """An instant that is still to come is refused; the present is not."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    check_past(now, now=now)
    with pytest.raises(InvalidRequest, match="still to come"):
        check_past(now + timedelta(seconds=1), now=now)


@pytest.mark.parametrize(
    ("path", "index", "kind", "redirect"),
    [
        ("/at/2026-05-01/simple/", None, Kind.LIST, None),
        ("/at/2026-05-01/simple", None, Kind.LIST, "simple/"),
        ("/at/2026-05-01/simple/six/", None, Kind.PAGE, None),
        ("/at/2026-05-01/simple/Six", None, Kind.PAGE, "six/"),
        ("/main/at/2026-05-01/simple/six/six-1.0.tar.gz", "main", Kind.FILE, None),
        ("/MAIN/at/2026-05-01T10:00:00+02:00/simple/six/six-1.0.tar.gz.metadata", "main", Kind.METADATA, None),
        ("/at/2026-05-01T10%3A00%3A00%2B02%3A00/+simple/six/", None, Kind.PAGE, None),
    ],
)
def test_addresses(path: str, index: str | None, kind: Kind, redirect: str | None) -> None:
    """Everything below `/simple/` is below `/at/<instant>/simple/` too; redirects stay relative."""
    target = parse_target(path.encode(), root_path="", indexes={"main"})
    assert (target.kind, target.index, target.redirect) == (Kind.PAST, index, None)
    assert target.past is not None
    assert (target.past.kind, target.past.redirect) == (kind, redirect)
    assert target.instant in (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, 8, tzinfo=UTC))


@pytest.mark.parametrize("path", ["/at/2026-05-01/", "/at/2026-05-01/legacy/", "/at/2026-05-01/at/2026-05-01/simple/"])
def test_no_addresses(path: str) -> None:
    """There is nothing else below an instant."""
    with pytest.raises(NotFound):
        parse_target(path.encode(), root_path="", indexes={"main", "at"})


# --- the index -------------------------------------------------------------------------------------------------------

T1, T2, T3 = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def file(version: str, uploaded: datetime | None, **options: object) -> DistFile:
    name = Filename(f"six-{version}.tar.gz")
    return DistFile(filename=name, url=name, upload_time=uploaded, **options)  # type: ignore[arg-type]


@pytest.fixture
def now() -> Elsewhere:
    files = (file("1.0", T1, yanked="bad"), file("1.1", T2), file("1.2", T3), file("0.9", None))
    page = ProjectPage(name=SIX, files=files, versions=("0.9", "1.0", "1.1", "1.2"), status=ProjectStatus.DEPRECATED)
    return Elsewhere({"six": page})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("instant", "versions"),
    [
        (T1 - timedelta(microseconds=1), ()),
        (T1, ("1.0",)),
        (T2, ("1.0", "1.1")),
        (T3, ("1.0", "1.1", "1.2")),
    ],
)
async def test_page(now: Elsewhere, instant: datetime, versions: tuple[str, ...]) -> None:
    """A page has the files uploaded by the instant and their releases; yanks and status are those of now."""
    page = await PointInTimeIndex(now, instant).page(SIX)
    assert page.versions == versions
    assert tuple(each.filename[4:-7] for each in page.files) == versions
    assert page.status is ProjectStatus.DEPRECATED
    assert all(each.yanked == "bad" for each in page.files if each.filename == "six-1.0.tar.gz")


@pytest.mark.anyio
async def test_files(now: Elsewhere) -> None:
    """Files and metadata are there exactly when the page lists them."""
    index = PointInTimeIndex(now, T2)
    for ask in (index.file, index.metadata, index.description):
        assert await ask(SIX, Filename("six-1.1.tar.gz"))
        for missing in ("six-1.2.tar.gz", "six-0.9.tar.gz", "six-9.tar.gz"):
            with pytest.raises(DistFileNotFound):
                await ask(SIX, Filename(missing))


@pytest.mark.anyio
async def test_long_page() -> None:
    """A page of thousands of files, which is made off the event loop, is the same as a short one."""
    files = tuple(file(f"{number}.0", T1 + timedelta(hours=number)) for number in range(2000))
    page = ProjectPage(name=SIX, files=files, versions=tuple(f"{number}.0" for number in range(2000)))
    then = await PointInTimeIndex(Elsewhere({"six": page}), T2).page(SIX)
    assert then.files == files[: 31 * 24 + 1]
    assert then.versions == page.versions[: 31 * 24 + 1]


@pytest.mark.anyio
async def test_file_that_changes_while_it_is_opened(now: Elsewhere) -> None:
    """A file counts by what is said of it when it is opened, not only by what was said before."""

    class Changing(Elsewhere):
        async def page(self, project: NormalizedName) -> ProjectPage:
            page = await super().page(project)
            return page if len(self.asked) == 1 else replace(page, files=(file("1.1", T3),))

    with pytest.raises(DistFileNotFound):
        await PointInTimeIndex(Changing(now.pages), T2).file(SIX, Filename("six-1.1.tar.gz"))


@pytest.mark.anyio
async def test_the_rest(now: Elsewhere) -> None:
    """The list is that of now, unknown projects stay unknown, nothing can be changed, and nothing is kept ready."""
    index = PointInTimeIndex(now, T2)
    assert (await index.list()).names == ("six",)
    with pytest.raises(ProjectNotFound):
        await index.page(NormalizedName("seven"))
    with pytest.raises(Unsupported):
        await index.change(SIX, Delete())
    assert index.peek(SIX) is None
    assert index.peek_list() is None


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001  bounds are naive


@pytest.mark.anyio
@given(st.lists(moments, max_size=6), moments, moments)
async def test_time_only_adds(uploads: list[datetime], first: datetime, second: datetime) -> None:
    """What was there at an instant is there at every later one."""
    files = tuple(file(f"{number}.0", uploaded) for number, uploaded in enumerate(uploads))
    versions = tuple(f"{number}.0" for number in range(len(uploads)))
    index = Elsewhere({"six": ProjectPage(name=SIX, files=files, versions=versions)})
    earlier = await PointInTimeIndex(index, min(first, second)).page(SIX)
    later = await PointInTimeIndex(index, max(first, second)).page(SIX)
    assert set(earlier.versions) <= set(later.versions)
    assert {each.filename for each in earlier.files} <= {each.filename for each in later.files}
