"""The changelog: one section per release, the newest of which is the version of the project."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import pytest

from tests.support.pipeline import DAGS

pytestmark = pytest.mark.unit

ROOT = DAGS.parent
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d{2}-\d{2})")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_what_is_not_released_yet_comes_first():
    assert HEADINGS[0] == "[Unreleased]"


def test_releases_follow_newest_first_each_with_its_date():
    releases = [RELEASE.fullmatch(heading) for heading in HEADINGS[1:]]
    assert all(releases), HEADINGS
    versions = [tuple(map(int, release.groups()[:3])) for release in releases]
    dates = [date.fromisoformat(release[4]) for release in releases]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_the_version_of_the_project_is_the_newest_release():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert HEADINGS[1].startswith(f"[{version}] - ")


def test_each_change_is_of_a_kind_that_keep_a_changelog_knows():
    kinds = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(kinds) <= KINDS
