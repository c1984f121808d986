"""Section 1H: the status of a project (PEP 792)."""

from __future__ import annotations

import pytest

from standards.subject import TEXT_HTML, V1_JSON, Subject
from wheelyard.testing.builders import WheelBuilder


def with_status(subject: Subject, status: str, reason: str = "") -> WheelBuilder:
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    subject.set_status(wheel.name, status, reason)
    return wheel


def test_active(subject: Subject) -> None:
    """ST-01: a new project is active, said or not."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name))
    assert subject.page(name).get("project-status", {"status": "active"})["status"] == "active"


def test_archived(subject: Subject) -> None:
    """ST-02, UP-36: an archived project takes no upload, and its files stay."""
    wheel = with_status(subject, "archived", "done")
    reply = subject.refused(WheelBuilder(name=wheel.name, version="2.0"))
    assert reply.status == 403
    assert "archived" in reply.text
    assert subject.get(subject.file_url(wheel.name, wheel.file_name)).check(200).body == wheel.bytes()


def test_archived_same_file(subject: Subject) -> None:
    """ST-02, UP-30: sending the very same file again changes nothing and is no refusal."""
    wheel = with_status(subject, "archived")
    subject.upload(wheel).check(200)


def test_quarantined(subject: Subject) -> None:
    """ST-03, UP-36: a quarantined project offers no file in any form, and takes no upload."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    url = subject.file_url(wheel.name, wheel.file_name)
    subject.get(url).check(200)
    subject.set_status(wheel.name, "quarantined", "malware")
    page = subject.page(wheel.name)
    assert page["files"] == []
    assert page["project-status"] == {"status": "quarantined", "reason": "malware"}
    assert wheel.file_name not in subject.html(wheel.name)
    for suffix in ("", ".metadata"):
        assert subject.get(url + suffix).status in {403, 404}
        assert subject.get(url + suffix, Range="bytes=0-9").status in {403, 404}
    assert subject.get(f"{subject.root}pypi/{wheel.name}/json").status == 404
    assert subject.refused(WheelBuilder(name=wheel.name, version="2.0")).status == 403


def test_quarantined_beats_caches(subject: Subject) -> None:
    """ST-03: a client that has the page asks again and learns of the quarantine."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    tag = subject.get(f"{wheel.name}/", accept=V1_JSON).header("etag") or ""
    subject.set_status(wheel.name, "quarantined")
    assert subject.get(f"{wheel.name}/", accept=V1_JSON, If_None_Match=tag).check(200).json()["files"] == []


def test_released(subject: Subject) -> None:
    """ST-03: a project that leaves quarantine offers its files again."""
    wheel = with_status(subject, "quarantined")
    subject.set_status(wheel.name, "active")
    assert subject.get(subject.file_url(wheel.name, wheel.file_name)).check(200).body == wheel.bytes()
    subject.upload(WheelBuilder(name=wheel.name, version="2.0")).check(200)


def test_deprecated(subject: Subject) -> None:
    """ST-04: a deprecated project works like an active one, and carries its mark."""
    wheel = with_status(subject, "deprecated", "use another")
    subject.upload(WheelBuilder(name=wheel.name, version="2.0")).check(200)
    assert subject.page(wheel.name)["project-status"] == {"status": "deprecated", "reason": "use another"}
    assert len(subject.listed(wheel.name)) == 2


@pytest.mark.parametrize("status", ["active", "archived", "quarantined", "deprecated"])
@pytest.mark.parametrize("reason", ["", "because <it> is & was “so”"])
def test_both_forms(subject: Subject, status: str, reason: str) -> None:
    """ST-05: both forms say the same status and reason."""
    wheel = with_status(subject, status, reason)
    told = subject.page(wheel.name).get("project-status", {"status": "active"})
    assert told["status"] == status
    assert told.get("reason", "") == reason
    html = subject.get(f"{wheel.name}/", accept=TEXT_HTML).text
    if status != "active" or "pypi:project-status" in html:
        assert f'name="pypi:project-status" content="{status}"' in html
    assert ("pypi:project-status-reason" in html) == bool(reason)


def test_unknown_status(subject: Subject) -> None:
    """ST-05: there are four statuses and no other."""
    wheel = with_status(subject, "active")
    if subject.api is None:
        return
    url = f"{subject.api}/projects/{wheel.name}/status"
    reply = subject.ask("PUT", url, headers={"Content-Type": "application/json"}, body=b'{"status": "closed"}')
    assert reply.status == 400
    assert subject.page(wheel.name).get("project-status", {"status": "active"})["status"] == "active"
