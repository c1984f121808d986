"""Project pages for property tests."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol.filenames import quote_filename
from wheelyard.protocol.names import normalize, sort_versions

NAMES: st.SearchStrategy[NormalizedName] = st.from_regex(r"\A[a-z0-9]{1,8}(?:-[a-z0-9]{1,5}){0,2}\Z").map(normalize)

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
"""Any text that UTF-8 can say, markup and control characters included."""

REASONS = st.sampled_from(["", "broken", '"><script>alert(1)</script>', "a & b", "</a>", "\r\n", "\0"]) | TEXTS

VERSIONS = st.builds(
    lambda epoch, release, suffix, local: f"{epoch}{'.'.join(map(str, release))}{suffix}{local}",
    st.sampled_from(["", "1!"]),
    st.lists(st.integers(0, 30), min_size=1, max_size=3),
    st.sampled_from(["", "a1", "rc2", ".post1", ".dev3"]),
    st.sampled_from(["", "+cu128", "+local.1"]),
)

_ODD_FILENAMES = st.sampled_from(
    ["foo-1.0-variants.json", "foo-1.0.exe", "foo-1.0-py2.7.egg", "é ü.zip", "<b>&\"'.zip"]
)

_LENGTHS = {"sha256": 64, "md5": 32, "sha512": 128, "blake2b_256": 64}

HASHES = st.sets(st.sampled_from(sorted(_LENGTHS)), max_size=3).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.text("0123456789abcdef", min_size=_LENGTHS[name], max_size=_LENGTHS[name]) for name in names}
    )
)

TIMES = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
PRIVATE = st.dictionaries(TEXTS.map(lambda text: f"_{text}"), _JSON, max_size=3)


def _file(filename: str, **keys: object) -> DistFile:
    return DistFile(filename=Filename(filename), url=quote_filename(filename), **keys)  # type: ignore[arg-type]


@st.composite
def pages(draw: st.DrawFn, *, with_private: bool = True) -> ProjectPage:
    """Draw a page with wheels, sdists and odd files, in any state."""
    name = draw(NAMES)
    stem = name.replace("-", "_")
    versions = draw(st.lists(VERSIONS, max_size=4))
    own = [f"{stem}-{version}{end}" for version in versions for end in ("-py3-none-any.whl", ".tar.gz")]
    filenames = draw(st.lists(st.sampled_from(own), unique=True)) if own else []
    filenames += draw(st.lists(_ODD_FILENAMES, unique=True, max_size=2))
    files = tuple(
        draw(
            st.builds(
                _file,
                st.just(filename),
                hashes=HASHES,
                size=st.none() | st.integers(0, 2**40),
                upload_time=st.none() | TIMES,
                requires_python=st.none() | st.sampled_from([">=3.8,<4", "~=3.11", '>3"<&']),
                core_metadata=st.none() | HASHES,
                yanked=st.none() | REASONS,
                gpg_sig=st.none() | st.booleans(),
                provenance=st.none() | st.just('https://example.test/p?a=1&b="2"'.replace('"', "%22")),
                private=PRIVATE if with_private else st.just({}),
            )
        )
        for filename in filenames
    )
    return ProjectPage(
        name=name,
        files=files,
        versions=sort_versions(versions),
        status=draw(st.sampled_from(ProjectStatus)),
        status_reason=draw(st.none() | REASONS),
        private=draw(PRIVATE) if with_private else {},
    )
