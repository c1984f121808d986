"""Section 1G: yanking (PEP 592)."""

from __future__ import annotations

from standards.subject import Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder


def test_and_back(subject: Subject) -> None:
    """YANK-01: a yank marks the file in both forms, and taking it back removes the mark from both."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    for _ in range(2):
        subject.yank(name, wheel.file_name, reason="broken")
        assert subject.listed(name)[wheel.file_name]["yanked"] == "broken"
        assert 'data-yanked="broken"' in subject.html(name)
        subject.unyank(name, wheel.file_name)
        assert subject.listed(name)[wheel.file_name].get("yanked", False) is False
        assert "data-yanked" not in subject.html(name)


def test_one_file(subject: Subject) -> None:
    """YANK-02: one file of a release can be yanked alone."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name), SdistBuilder(name=name), WheelBuilder(name=name, version="2.0"))
    subject.yank(name, wheel.file_name)
    marks = {filename: file.get("yanked", False) for filename, file in subject.listed(name).items()}
    assert [filename for filename, mark in marks.items() if mark] == [wheel.file_name]


def test_release(subject: Subject) -> None:
    """YANK-02: a release can be yanked as a whole, in any spelling of its version."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name), SdistBuilder(name=name), WheelBuilder(name=name, version="2.0"))
    subject.manage("POST", f"{name}/yank", {"version": "1.0.0", "reason": "all"})
    marks = {filename: file.get("yanked", False) for filename, file in subject.listed(name).items()}
    assert sorted(filename for filename, mark in marks.items() if mark) == sorted(
        [WheelBuilder(name=name).file_name, SdistBuilder(name=name).file_name]
    )


def test_downloadable(subject: Subject) -> None:
    """YANK-04: a yanked file and its metadata stay downloadable, for pins and locks."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    url = subject.file_url(name, wheel.file_name)
    before = subject.get(url)
    subject.yank(name, wheel.file_name, reason="broken")
    assert subject.file_url(name, wheel.file_name) == url
    assert subject.get(url).check(200).body == wheel.bytes()
    assert subject.get(url).header("etag") == before.header("etag")
    assert subject.get(f"{url}.metadata").check(200).body == wheel.metadata_bytes()


def test_still_a_version(subject: Subject) -> None:
    """YANK-05: the version of a yanked file stays in the list."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name), WheelBuilder(name=name, version="2.0"))
    subject.yank(name, wheel.file_name)
    assert set(subject.page(name)["versions"]) == {"1.0", "2.0"}


def test_upload_time_stays(subject: Subject) -> None:
    """YANK-01: a yank changes the mark and nothing else."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    before = subject.listed(name)[wheel.file_name]
    subject.yank(name, wheel.file_name, reason="x")
    after = subject.listed(name)[wheel.file_name]
    assert {**before, "yanked": None} == {**after, "yanked": None}


def test_upload_again(subject: Subject) -> None:
    """YANK-01, UP-30: publishing a yanked file again does not take the yank back."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    subject.yank(name, wheel.file_name, reason="x")
    subject.publish(wheel)
    assert subject.listed(name)[wheel.file_name]["yanked"] == "x"
