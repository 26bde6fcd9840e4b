"""The IAM policies of include/aws: least privilege, and placeholders that docs/aws.md fills in."""

from __future__ import annotations

import json
import os
import re
import subprocess

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
    """The shell function of docs/aws.md, run as it stands there."""
    document = (INCLUDE.parent / "docs" / "aws.md").read_text()
    assert f"include/aws/{path.name}" in document
    names = re.findall(r"(\w+)=\S+", "\n".join(re.findall(r"^\$ export (.*)$", document, re.MULTILINE)))
    function = re.search(r"^\$ (filled\(\) \{.*?\})$", document, re.MULTILINE | re.DOTALL)[1]
    done = subprocess.run(
        ["bash", "-c", f"{function}\nfilled {path.stem}"],
        env={"PATH": os.environ["PATH"], **{name: name.lower() for name in names}},
        cwd=INCLUDE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)
    assert "${" not in done.stdout
    assert "arn:aws:s3:::bucket" in done.stdout or "bucket" not in path.read_text()
