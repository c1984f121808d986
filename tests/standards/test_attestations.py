"""Section 1I: attestations, as far as an index that cannot verify them goes (PEP 740)."""

from __future__ import annotations

import json

import pytest

from standards.subject import Subject
from wheelyard.testing.builders import WheelBuilder

STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://docs.example.org/publish/v1"}
ATTESTATION = {
    "version": 1,
    "verification_material": {"certificate": "AAAA", "transparency_entries": []},
    "envelope": {"statement": json.dumps(STATEMENT), "signature": "AAAA"},
}


@pytest.mark.parametrize(
    "told",
    [json.dumps([ATTESTATION]), json.dumps([{}]), "{}", "nonsense", json.dumps([ATTESTATION, ATTESTATION])],
    ids=["well-formed", "empty-object", "no-array", "no-json", "two"],
)
def test_unverifiable(subject: Subject, told: str) -> None:
    """ATT-01, UF-14: an upload whose attestations cannot be verified is refused and says why."""
    wheel = WheelBuilder(name=subject.new_name())
    reply = subject.refused(wheel, attestations=told)
    assert reply.status == 400
    assert "ttestation" in reply.text


@pytest.mark.parametrize("told", ["", "[]", None], ids=["empty", "none-in-array", "absent"])
def test_none(subject: Subject, told: str | None) -> None:
    """ATT-01, UF-14: an upload without attestations is an ordinary one, and promises no provenance."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.upload(wheel, attestations=told).check(200)
    assert subject.listed(wheel.name)[wheel.file_name].get("provenance") is None


@pytest.mark.parametrize("accept", ["application/vnd.pypi.integrity.v1+json", "application/json"])
def test_no_provenance(subject: Subject, accept: str) -> None:
    """ATT-05, ATT-06: a file without provenance has none at the integrity address, and no page says otherwise."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    reply = subject.get(f"{subject.root}integrity/{wheel.name}/1.0/{wheel.file_name}/provenance", accept=accept)
    reply.check(404)
    provenance = subject.listed(wheel.name)[wheel.file_name].get("provenance")
    assert provenance is None
