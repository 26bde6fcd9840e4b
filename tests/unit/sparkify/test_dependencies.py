"""Imported packages are declared, declared ones are pinned: none is here only because another needs it."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from importlib.metadata import distribution, packages_distributions

import pytest

from tests.support.pipeline import DAGS

pytestmark = pytest.mark.unit

ROOT = DAGS.parent
PRODUCTION = ("plugins", "dags")
DEVELOPMENT = ("local", "tests", "conftest.py", "local-redshift")
DISTRIBUTIONS = packages_distributions()
#: Modules of later versions of Python, behind a condition.
LATER = {"compression"}
#: Modules that no distribution installs: they are on the paths of pyproject.toml.
OURS = {"sparkify", "local", "local_redshift", "tests", "wire", "bench_copy"}
#: Airflow is released as parts of one version; `apache-airflow` requires both.
PARTS = {"apache-airflow-core": "apache-airflow", "apache-airflow-task-sdk": "apache-airflow"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(source: str) -> set[str]:
    """The full names of what is imported from elsewhere, wherever the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names | LATER | OURS}


@cache
def modules(name: str) -> frozenset[str]:
    """The paths of the modules that a distribution installs, without suffix."""
    paths = (path for path in distribution(name).files or () if path.suffix in (".py", ".so"))
    return frozenset(str(path).partition(".")[0].removesuffix("/__init__") for path in paths)


def provider(name: str) -> str:
    """The distribution that an imported name comes from.

    :raises LookupError: no installed distribution has it.
    """
    top, *parts = name.split(".")
    found = sorted(set(DISTRIBUTIONS.get(top, ())))
    if len(found) == 1:
        return canonical(found[0])
    # Several share the name, as Airflow's providers do: who has the module?
    for length in range(len(parts), 0, -1):
        path = "/".join([top, *parts[:length]])
        for candidate in found:
            if path in modules(candidate):
                return PARTS.get(canonical(candidate), canonical(candidate))
    raise LookupError(f"{name} is in no installed distribution")


def declared(file: str) -> set[str]:
    """The packages that a .in file names, with those of the file that it includes."""
    text = (ROOT / file).read_text()
    names = {canonical(name) for name in re.findall(r"^[A-Za-z0-9][\w.-]*", text, re.MULTILINE)}
    return names.union(*(declared(other) for other in re.findall(r"^-r (\S+)", text, re.MULTILINE)))


def pinned(file: str) -> set[str]:
    return {canonical(name) for name in re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(), re.MULTILINE)}


def undeclared(sources: dict[str, str], packages: set[str]) -> list[str]:
    """What the texts import of packages that are not among those; `sources` maps names to texts."""
    return sorted(
        f"{name} imports {found} of {provider(found)}"
        for name, source in sources.items()
        for found in imports(source)
        if provider(found) not in packages
    )


def texts(folders: tuple[str, ...]) -> dict[str, str]:
    roots = [ROOT / folder for folder in folders]
    paths = [path for root in roots for path in (sorted(root.rglob("*.py")) if root.is_dir() else [root])]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@pytest.mark.parametrize(
    ("folders", "file"),
    [(PRODUCTION, "requirements.in"), (DEVELOPMENT, "requirements-dev.in")],
    ids=["production", "development"],
)
def test_every_package_that_is_imported_is_declared(folders, file):
    sources = texts(folders)
    assert len(sources) > 10
    assert undeclared(sources, declared(file)) == []


@pytest.mark.parametrize("file", ["requirements", "requirements-dev"])
def test_every_declared_package_is_pinned(file):
    assert declared(f"{file}.in") - pinned(f"{file}.txt") == set()


@pytest.mark.parametrize(
    "text",
    ["import yaml", "def f():\n    from yaml import safe_load", "if TYPE_CHECKING:\n    import yaml.nodes"],
    ids=["at the top", "in a function", "for type checks"],
)
def test_an_import_is_found_wherever_it_stands(text):
    [found] = undeclared({"a.py": text}, {"jinja2"})
    assert found.endswith(" of pyyaml")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("airflow.providers.amazon.aws.hooks.s3.S3Hook", "apache-airflow-providers-amazon"),
        ("airflow.providers.standard.operators.empty", "apache-airflow-providers-standard"),
        ("airflow.sdk.DAG", "apache-airflow"),
        ("airflow.configuration.conf", "apache-airflow"),
    ],
)
def test_a_name_that_packages_share_is_told_apart(name, package):
    assert provider(name) == package


def test_a_module_that_is_not_installed_is_named():
    with pytest.raises(LookupError, match=re.escape("no_such_package.part")):
        undeclared({"a.py": "import no_such_package.part"}, set())
