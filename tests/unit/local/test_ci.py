"""What runs lint and the tests elsewhere: GitHub's workflow and the pre-commit hooks."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files

import pytest
import yaml
from jsonschema.validators import validator_for

from local.settings import ROOT

pytestmark = pytest.mark.unit

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
#: YAML 1.1 reads the key `on` as true.
DOCUMENT = {"on" if key is True else key: value for key, value in yaml.safe_load(WORKFLOW).items()}


def test_the_workflow_is_of_githubs_schema():
    schema = json.loads(
        (files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json").read_text()
    )
    assert [f"{e.json_path}: {e.message}" for e in validator_for(schema)(schema).iter_errors(DOCUMENT)] == []


def test_every_action_is_pinned_by_its_major_version():
    used = re.findall(r"uses: (\S+)", WORKFLOW)
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []


def test_every_python_that_the_project_takes_is_tested():
    versions = DOCUMENT["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={versions[0]}"


def test_the_workflow_can_only_read_and_ends():
    assert DOCUMENT["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and job["timeout-minutes"] for job in DOCUMENT["jobs"].values())


def test_commits_are_linted_as_ci_lints():
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert (repository["repo"], {hook["language"] for hook in repository["hooks"]}) == ("local", {"system"})
    parts = re.search(r"^lint: (.+) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert [hook["entry"] for hook in repository["hooks"]] == [f"make {part}" for part in parts]
    assert " lint test\n" in WORKFLOW
    assert "\nmake lint <" in (ROOT / ".ci" / "run").read_text()
