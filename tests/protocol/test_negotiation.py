"""Content negotiation of simple pages."""

import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import NotAcceptable
from wheelyard.protocol.negotiation import Representation, negotiate

JSON, HTML, TEXT_HTML = Representation.JSON, Representation.HTML, Representation.TEXT_HTML
V1J = "application/vnd.pypi.simple.v1+json"
V1H = "application/vnd.pypi.simple.v1+html"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(None, TEXT_HTML, id="NEG-01 no header"),
        pytest.param("", TEXT_HTML, id="NEG-01 empty header"),
        pytest.param("*/*", TEXT_HTML, id="NEG-02"),
        pytest.param("*", TEXT_HTML, id="NEG-02 old Java"),
        pytest.param(V1J, JSON, id="NEG-03 json"),
        pytest.param(V1H, HTML, id="NEG-03 html"),
        pytest.param("text/html", TEXT_HTML, id="NEG-03 text"),
        pytest.param(f"{V1J}, {V1H}; q=0.1, text/html; q=0.01", JSON, id="NEG-04 pip"),
        pytest.param(f"{V1J}, {V1H};q=0.2, text/html;q=0.01", JSON, id="NEG-05 uv"),
        pytest.param(f"{V1J}, */*;q=0.1", JSON, id="NEG-06 poetry"),
        pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT_HTML, id="NEG-08 browser"),
        pytest.param(f"text/html, {V1J}", JSON, id="NEG-09"),
        pytest.param(f"{V1J}, text/html", JSON, id="NEG-09 other order"),
        pytest.param(f"text/html, {V1H}", HTML, id="NEG-09 html"),
        pytest.param("text/html, */*", TEXT_HTML, id="NEG-09 named goes before any"),
        pytest.param(f"{V1J};q=0.1, {V1H};q=0.9", HTML, id="NEG-10"),
        pytest.param(f"{V1J};q=0, */*", TEXT_HTML, id="NEG-11"),
        pytest.param(f"{V1J};q=0.000, application/*", HTML, id="NEG-11 zeros"),
        pytest.param("application/*", JSON, id="NEG-12"),
        pytest.param("text/*", TEXT_HTML, id="NEG-12 text"),
        pytest.param(f"text/html;q=0.5, */*;q=0.9, {V1H};q=0", JSON, id="NEG-12 specificity"),
        pytest.param("application/vnd.pypi.simple.latest+json", JSON, id="NEG-13 json"),
        pytest.param("application/vnd.pypi.simple.latest+html", HTML, id="NEG-13 html"),
        pytest.param(f"application/vnd.pypi.simple.v2+json, {V1J};q=0.1", JSON, id="NEG-14 known beside unknown"),
        pytest.param(";;;", TEXT_HTML, id="NEG-18 semicolons"),
        pytest.param("text", TEXT_HTML, id="NEG-18 no subtype"),
        pytest.param("," * 20_000, TEXT_HTML, id="NEG-18 junk"),
        pytest.param(f"text/html;q=nonsense, {V1J};q=0.1", JSON, id="NEG-18 quality"),
        pytest.param(f"{V1J.upper()} ; charset=utf-8 ; Q=0.5", JSON, id="NEG-20"),
    ],
)
def test_accept(accept: str | None, expected: Representation) -> None:
    """NEG-01 to NEG-13, NEG-18, NEG-20: each header gets the representation that it asks for."""
    assert negotiate(accept) is expected


@pytest.mark.parametrize(
    "accept",
    ["application/vnd.pypi.simple.v2+json", "application/json", "image/png", "*/*;q=0", f"{V1J};q=0, text/plain"],
)
def test_nothing_fits(accept: str) -> None:
    """NEG-14: a request for nothing that exists is told what does."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept)
    assert caught.value.supported == (V1J, V1H, "text/html")


@pytest.mark.parametrize(
    "requested", [V1J, V1J.replace("+", " "), V1J.upper(), "application/vnd.pypi.simple.latest+json"]
)
def test_format_parameter_wins(requested: str) -> None:
    """NEG-15: the parameter goes before the header; its plus sign may arrive as a space."""
    assert negotiate("text/html", requested) is JSON


@pytest.mark.parametrize("requested", ["json", "*/*", f"{V1J};q=1", f"{V1J},{V1H}"])
def test_unknown_format_parameter(requested: str) -> None:
    """NEG-15: a list, a wildcard or a quality is an unknown format."""
    with pytest.raises(NotAcceptable):
        negotiate("text/html", requested)


def test_empty_format_parameter() -> None:
    """NEG-15: an empty parameter asks for nothing."""
    assert negotiate(V1J, "") is JSON


def test_content_types() -> None:
    """URL-13, NEG-13: each representation names its version, HTML for browsers its charset."""
    assert [representation.content_type for representation in Representation] == [
        b"application/vnd.pypi.simple.v1+json",
        b"application/vnd.pypi.simple.v1+html",
        b"text/html; charset=utf-8",
    ]


_ITEMS = st.sampled_from([V1J, V1H, "text/html", "*/*", "application/*", "text/*", "image/png", "*", "", "q"])
_PARAMETERS = st.sampled_from(["", ";q=0", ";q=1", "; q=0.5", ";q=", ";q=2", ";q=-1", ";q=nan", ";;", ";charset=x"])
_HEADERS = st.lists(st.builds("".join, st.tuples(_ITEMS, _PARAMETERS))).map(",".join) | st.text(string.printable)


@given(st.none() | _HEADERS, st.none() | _HEADERS)
def test_no_header_fails(accept: str | None, requested: str | None) -> None:
    """NEG-18: any header gets a representation or a refusal, nothing else."""
    try:
        assert negotiate(accept, requested) in Representation
    except NotAcceptable:
        assert accept or requested


@given(st.lists(st.builds("".join, st.tuples(_ITEMS, _PARAMETERS))), st.randoms(use_true_random=False))
def test_order_has_no_meaning(items: list[str], random: Random) -> None:
    """NEG-09: the same media ranges in another order get the same answer."""
    shuffled = list(items)
    random.shuffle(shuffled)

    def answer(header: str) -> Representation | None:
        try:
            return negotiate(header)
        except NotAcceptable:
            return None

    assert answer(",".join(items)) is answer(",".join(shuffled))
