"""The IAM policies of include/aws: least privilege, and placeholders that docs/aws.md fills in."""

from __future__ import annotations

import json
import re

import pytest

from sparkify.paths import INCLUDE, POLICIES

pytestmark = pytest.mark.unit

FILES = sorted(POLICIES.glob("*.json"))
#: Actions of AWS's that take no resource ("Actions, resources, and condition keys").
WITHOUT_RESOURCE = re.compile(r"ec2:Describe|redshift:Describe")


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_policy_allows_more_than_it_names(path):
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        actions = as_list(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if "*" in as_list(statement.get("Resource", [])):
            assert all(WITHOUT_RESOURCE.match(action) for action in actions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_documents_fill_in_every_placeholder(path):
    document = (INCLUDE.parent / "docs" / "aws.md").read_text()
    assert f"include/aws/{path.name}" in document
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        assert f"\\${{{name}}}/" in document, name
