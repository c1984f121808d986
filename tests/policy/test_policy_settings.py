"""The table `[<index>.policy]`: what it means, and every mistake in it told at once."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.conftest import SECRETS
from wheelyard.errors import ConfigError
from wheelyard.index.policy.rules import Exemption, Files, Policy, Rule, UpstreamMode
from wheelyard.index.policy.severity import Severity
from wheelyard.settings import Settings, load_settings
from wheelyard.settings.policy import EXCEPTION_KEYS, POLICY_KEYS

HEAD = f'[main]\ntype = "memory"\n{SECRETS}[main.policy]\n'
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def load(text: str, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, config=HEAD + text, text_allowed=True)


def policy(text: str, tmp_path: Path) -> Policy:
    found = load(text, tmp_path).indexes[0].policy
    assert found is not None
    return found


def test_everything(tmp_path: Path) -> None:
    """Every key is read."""
    read = policy(
        """
        reserved = ["Acme_*"]
        upstream_mode = "listed"
        upstream_names = ["six"]
        deny = ["leftpad", "requests<2.32"]
        allow = ["*"]
        deny_tags = ["*-win32"]
        allow_tags = ["*-any"]
        files = "wheels"
        minimum_age = "36h"
        minimum_age_exempt = ["certifi"]
        frozen_at = 2026-05-01
        osv_severity = "high"
        squat_check = false
        squat_expected = ["six"]
        [[main.policy.exceptions]]
        project = "urllib3==2.6.3"
        reason = "the fix itself"
        expires = 2026-12-01T12:00:00+02:00
        rules = ["osv_severity"]
        advisories = ["GHSA-1"]
        """,
        tmp_path,
    )
    assert list(map(str, read.reserved)) == ["acme-*"]
    assert list(map(str, read.deny)) == ["leftpad", "requests<2.32"]
    assert (read.upstream_mode, read.files) == (UpstreamMode.LISTED, Files.WHEELS)
    assert (read.minimum_age, read.frozen_at) == (timedelta(hours=36), datetime(2026, 5, 1, tzinfo=UTC))
    assert (read.osv_severity, read.squat_check) == (Severity.HIGH, False)
    (exception,) = read.exceptions
    assert exception.expires == datetime(2026, 12, 1, 10, tzinfo=UTC)
    assert (exception.rules, exception.advisories) == (frozenset({Rule.OSV}), frozenset({"GHSA-1"}))
    assert str(exception.releases) == "urllib3==2.6.3"
    assert {field.name for field in dataclasses.fields(Policy)} == set(POLICY_KEYS)


def test_nothing(tmp_path: Path) -> None:
    """An index without the table has no policy; an empty table is one that lets everything through."""
    assert (
        load_settings(tmp_path, config=HEAD.replace("[main.policy]", ""), text_allowed=True).indexes[0].policy is None
    )
    assert policy("", tmp_path) == Policy()


MISTAKES = [
    ("reserve = []", "reserve: unknown key; did you mean 'reserved'?"),
    ('reserved = "acme"', 'reserved: must be a list of texts like ["a", "b"]'),
    (
        'reserved = ["a b", "-c"]',
        "reserved: 'a b' is no project name and no pattern like 'acme-*'; '-c' is no project name",
    ),
    ('upstream_mode = "list"', "upstream_mode: 'list' is none of 'all', 'listed', 'none'; did you mean 'listed'?"),
    ("upstream_mode = 1", "upstream_mode: must be one of 'all', 'listed', 'none', not a number"),
    ('upstream_names = ["six"]', 'upstream_names: means nothing without upstream_mode = "listed"'),
    ('deny = ["requests<"]', "deny: '<' is no version specifier like"),
    ('deny = ["requests=2"]', "deny: '=2' is no version specifier"),
    ('deny_tags = ["win 32"]', "deny_tags: 'win 32' is no pattern for wheel tags"),
    ('files = "all wheels"', "files: 'all wheels' is none of 'all', 'wheels', 'sdists'"),
    ("minimum_age = 7", "minimum_age: must be a length of time in quotes like '7d', '36h' or '2w', not a number"),
    ('minimum_age = "7 days"', "minimum_age: '7 days' is not a length of time"),
    ('minimum_age = "9999w"', "minimum_age: must be at most 3650d, not 9999w"),
    ("frozen_at = 2026-05-01T12:00:00", "frozen_at: needs an offset: write 2026-05-01T12:00:00Z for UTC"),
    ('frozen_at = "May"', "frozen_at: 'May' is no instant"),
    ("frozen_at = 5", "frozen_at: must be a date like 2026-05-01"),
    ('osv_severity = "moderate"', "osv_severity: 'moderate' is none of 'any', 'low', 'medium', 'high', 'critical'"),
    ('squat_check = "yes"', "squat_check: must be true or false"),
    ("allow = []", "allow: is empty, and it is not told whether that allows all or nothing: leave it out for all"),
    ("allow_tags = []", "allow_tags: is empty, and it is not told whether that allows all or nothing"),
    ("exceptions = 1", "exceptions: must be a list, not a number"),
    ("exceptions = [1]", "[main.policy.exceptions 1]: must be a table"),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_mistakes(text: str, expected: str, tmp_path: Path) -> None:
    """A mistake is told with its place and what to write."""
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith("--config (text): [main.policy")
    assert expected in problem


def test_exceptions_need_a_reason_and_an_end(tmp_path: Path) -> None:
    """Each exception names releases, a reason and an end; all that is missing is told at once, by its number."""
    text = '[[main.policy.exceptions]]\n[[main.policy.exceptions]]\nproject = "six<"\nreason = " "\nrules = ["deny"]\n'
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    problems = "\n".join(caught.value.problems)
    for expected in (
        "[main.policy.exceptions 1] project: is missing",
        "[main.policy.exceptions 1] expires: is missing",
        "[main.policy.exceptions 1] reason: is missing",
        "[main.policy.exceptions 2] project: '<' is no version specifier",
        "[main.policy.exceptions 2] reason: is empty",
        "[main.policy.exceptions 2] rules: 'deny' is none of 'minimum_age', 'frozen_at', 'osv_severity'",
        "[main.policy.exceptions 2] expires: is missing",
    ):
        assert expected in problems
    assert len(caught.value.problems) == 7


def test_advisories_without_their_rule(tmp_path: Path) -> None:
    """Advisories beside rules that ask none are a mistake."""
    text = (
        '[[main.policy.exceptions]]\nproject = "six"\nreason = "x"\nexpires = 2026-12-01\n'
        'rules = ["minimum_age"]\nadvisories = ["GHSA-1"]\n'
    )
    with pytest.raises(ConfigError, match="advisories: means nothing when rules does not have 'osv_severity'"):
        load(text, tmp_path)


@pytest.mark.parametrize("key", ["rules", "advisories"])
def test_empty_lists_of_exceptions(key: str, tmp_path: Path) -> None:
    """An exception whose last advisory was taken out of its list does not become one for everything."""
    text = f'[[main.policy.exceptions]]\nproject = "six"\nreason = "x"\nexpires = 2026-12-01\n{key} = []\n'
    with pytest.raises(ConfigError, match=f"{key}: is empty, "):
        load(text, tmp_path)


def test_no_table(tmp_path: Path) -> None:
    """A policy that is no table is a mistake."""
    config = f'[main]\ntype = "memory"\n{SECRETS}policy = "strict"\n'
    with pytest.raises(ConfigError, match=r"\[main.policy\]: must be a table"):
        load_settings(tmp_path, config=config, text_allowed=True)


def test_listed_without_names_warns(tmp_path: Path) -> None:
    """A list of names that is missing lets nothing through, and the server says so at its start."""
    assert "upstream_names is missing" in "".join(load('upstream_mode = "listed"', tmp_path).warnings)


def test_documented() -> None:
    """Each key has a row on the page about configuration."""
    text = REFERENCE.read_text(encoding="utf-8")
    keys = {*POLICY_KEYS, *(field.name for field in dataclasses.fields(Policy)), *EXCEPTION_KEYS}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in text] == []
    assert {field.name for field in dataclasses.fields(Exemption)} - set(EXCEPTION_KEYS) == {"releases"}
