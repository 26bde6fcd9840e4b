"""Where in a JSON object the value of each column lies: by name, or by JSONPath."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from local_redshift.catalog.columns import Column
from local_redshift.errors import RedshiftError

Path = tuple[str | int, ...]


@dataclass
class Mapping:
    """Where in an object the value of each column lies."""

    columns: list[Column]
    paths: list[Path]
    ignore_case: bool = False
    #: 'auto' knows no paths: a root-level array has no names to match.
    by_name: bool = True

    @classmethod
    def auto(cls, columns: list[Column], ignore_case: bool = False) -> Mapping:
        names = [column.name.lower() if ignore_case else column.name for column in columns]
        return cls(columns, [(name,) for name in names], ignore_case)

    @classmethod
    def json_paths(cls, columns: list[Column], text: bytes, address: str) -> Mapping:
        """From a jsonpaths file.

        Any other top-level key than "jsonpaths" falls back to 'auto', as on Redshift.
        """
        try:
            document = json.loads(text.decode())
            if not isinstance(document, dict):
                raise TypeError("the file holds no JSON object")
        except (ValueError, TypeError, RecursionError) as error:
            raise RedshiftError(
                f"Invalid JSONPath file '{address}'", detail=f"The file is not one JSON object: {error}"
            ) from error
        if "jsonpaths" not in document:
            return cls.auto(columns)
        expressions = document["jsonpaths"]
        if not isinstance(expressions, list) or not all(isinstance(e, str) and e for e in expressions):
            raise RedshiftError(
                f"Invalid JSONPath file '{address}'",
                detail='"jsonpaths" must be a list of non-empty strings.',
            )
        paths = [parse_path(expression) for expression in expressions]
        if len({style for _, style in paths} - {""}) > 1:
            raise RedshiftError(
                f"Invalid JSONPath file '{address}'", detail="Bracket and dot notation must not be mixed."
            )
        if len(paths) != len(columns):
            raise RedshiftError(
                "Number of jsonpaths and the number of columns should match. "
                f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(columns)}"
            )
        return cls(columns, [path for path, _ in paths], by_name=False)


STEP = re.compile(
    r"""\[\s*'((?:[^'\\]|\\.)*)'\s*\] | \[\s*"((?:[^"\\]|\\.)*)"\s*\] """
    r"""| \[\s*(\d+)\s*\] | \.([^.\[\]\s'"*?()@]+)""",
    re.VERBOSE,
)


def parse_path(expression: str) -> tuple[Path, str]:
    """The steps of a JSONPath expression, and its notation: 'bracket', 'dot' or '' when it has no names."""
    steps: list[str | int] = []
    style = ""
    text = expression.strip()
    position = 1
    if not text.startswith("$"):
        raise _invalid_path(expression)
    while position < len(text):
        match = STEP.match(text, position)
        if match is None:
            raise _invalid_path(expression)
        single, double, index, name = match.groups()
        if index is not None:
            steps.append(int(index))
        elif name is not None:
            steps.append(name)
            style = style or "dot"
        else:
            steps.append(re.sub(r"\\(.)", r"\1", single if single is not None else double))
            style = "bracket" if style in ("", "bracket") else "mixed"
        position = match.end()
    return tuple(steps), style


def _invalid_path(expression: str) -> RedshiftError:
    return RedshiftError(
        f"Invalid JSONPath format: '{expression}'",
        detail="Supported are $['name'], $.name and [index]; wildcards, filters and slices are not.",
    )
