"""RECORD names every file of the wheel with its digest, and nothing else (AR-06)."""

from collections.abc import Callable

import pytest

from wheelyard.archives.limits import ArchiveLimits
from wheelyard.testing.builders import WheelBuilder, record_row
from wheelyard.testing.raw_archives import ZipMember

Refusal = Callable[..., str]

CONTENT = b"print()\n"
NAME = "demo/x.py"


def with_row(row: str) -> WheelBuilder:
    """Build a wheel whose file `demo/x.py` has this row in RECORD."""
    right = record_row(NAME, CONTENT)
    return WheelBuilder(files={NAME: CONTENT}, record=lambda text: text.replace(right, row))


ACCEPTED = {
    "sha256": record_row(NAME, CONTENT),
    "sha384": record_row(NAME, CONTENT, algorithm="sha384"),
    "sha512": record_row(NAME, CONTENT, algorithm="sha512"),
    "upper-case": record_row(NAME, CONTENT).replace("sha256", "SHA256"),
    "padded": record_row(NAME, CONTENT).replace(",8", "=,8"),
    "no-size": record_row(NAME, CONTENT).replace(",8", ","),
    "quoted": record_row(NAME, CONTENT).replace(NAME, f'"{NAME}"'),
    "crlf": record_row(NAME, CONTENT) + "\r",
    "empty-line": record_row(NAME, CONTENT) + "\n",
    "twice": record_row(NAME, CONTENT) + "\n" + record_row(NAME, CONTENT),
    "folder": record_row(NAME, CONTENT) + "\ndemo/,,",
}


@pytest.mark.parametrize("row", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(row: str, refusal: Refusal) -> None:
    """AR-06: any digest from sha256 up is accepted, in each usual way to write it."""
    assert refusal(with_row(row)) == ""


REFUSED = {
    "missing": ("", "'demo/x.py' of the wheel is not listed"),
    "no-digest": (f"{NAME},,8", "no sha256 digest"),
    "md5": (record_row(NAME, CONTENT, algorithm="md5"), "no sha256 digest"),
    "sha1": (record_row(NAME, CONTENT, algorithm="sha1"), "no sha256 digest"),
    "shake": (f"{NAME},shake_128=AA,8", "no sha256 digest"),
    "other-content": (record_row(NAME, b"other()\n"), "whose digest RECORD gives"),
    "cut-digest": (f"{NAME},sha256=AAAA,8", "whose digest RECORD gives"),
    "hex-digest": (f"{NAME},sha256={'0' * 64},8", "whose digest RECORD gives"),
    "other-size": (record_row(NAME, CONTENT).replace(",8", ",9"), "has 8 bytes, RECORD says '9'"),
    "odd-size": (record_row(NAME, CONTENT).replace(",8", ",8e0"), "RECORD says '8e0'"),
    "absent": (record_row(NAME, CONTENT) + "\nno/such.py,sha256=x,1", "lists 'no/such.py', which is not"),
    "outside": (record_row(NAME, CONTENT) + "\n../../etc/passwd,,", "lists '../../etc/passwd', which is not"),
    "disagree": (record_row(NAME, CONTENT) + "\n" + record_row(NAME, b""), "two different rows"),
    "four-columns": (record_row(NAME, CONTENT) + ",", "no UTF-8 table"),
    "open-quote": (f'"{NAME},sha256=x,8', "no UTF-8 table"),
}


@pytest.mark.parametrize(("row", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(row: str, why: str, refusal: Refusal) -> None:
    """AR-06: rows that do not fit the archive are refused."""
    assert why in refusal(with_row(row))


@pytest.mark.parametrize("content", [b"\xff\xfe,,\n", b"a,b\n", b"\0\0,,\n"], ids=["latin", "columns", "nul"])
def test_no_table(content: bytes, refusal: Refusal) -> None:
    """AR-06: what is no table is refused without a crash."""
    assert "RECORD" in refusal(WheelBuilder(record=content))


def test_signatures_are_exempt(refusal: Refusal) -> None:
    """AR-06, AR-10: old signature files need no row."""
    signatures = [ZipMember(name=f"demo-1.0.dist-info/RECORD.{kind}", content=b"x") for kind in ("jws", "p7s")]
    assert refusal(WheelBuilder(extra=signatures)) == ""


@pytest.mark.parametrize("name", ["demo-1.0.dist-info/RECORD.jws", "demo/folder/"])
def test_members_without_a_row_are_read_too(refusal: Refusal, name: str) -> None:
    """AR-06: what cannot be unpacked is refused also where RECORD says nothing of it, since installers stop there."""
    damaged = ZipMember(
        name=name, packed=b"\xff\xff\xff", content=b"", mode=0o40755 if name.endswith("/") else 0o100644
    )
    assert "packed data that is damaged" in refusal(WheelBuilder(extra=[damaged]))


def test_unlisted_member(refusal: Refusal) -> None:
    """AR-06: a member that was added after the build is noticed."""
    assert "'demo/evil.py' of the wheel is not listed" in refusal(WheelBuilder(extra=[ZipMember(name="demo/evil.py")]))


def test_large_wheels_are_not_hashed_again(refusal: Refusal) -> None:
    """Above `hashed_bytes` names, sizes and digest forms are still compared, the content is not."""
    wrong = {case: with_row(REFUSED[case][0]) for case in ("other-content", "missing", "md5", "other-size", "absent")}
    refused = {case for case, builder in wrong.items() if refusal(builder, limits=ArchiveLimits(hashed_bytes=10))}
    assert refused == {"missing", "md5", "other-size", "absent"}
