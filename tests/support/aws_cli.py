"""The commands of the AWS CLI that docs/aws.md shows, executed by boto3."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore import xform_name

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "aws.md").read_text()
#: In the place of the CLI: prints its arguments, each with a NUL behind it, and an empty line's worth after.
RECORDER = "aws() { printf '%s\\0' \"$@\"; printf '\\n\\0'; }"


def console(section: str) -> str:
    """The commands of the section's first console block, without prompts."""
    text = re.search(
        rf"^##+ (?:\w+\. )?{re.escape(section)}$(.*?)(?=^##|\Z)", GUIDE, re.MULTILINE | re.DOTALL
    )
    assert text, f"docs/aws.md has no section {section!r}"
    block = re.search(r"```console\n(.*?)```", text[1], re.DOTALL)
    assert block, f"section {section!r} has no commands"
    return re.sub(r"^\$ ", "", block[1], flags=re.MULTILINE)


def filled(policy: str, **changes: str) -> str:
    """A policy of include/aws, as the guide's `filled` fills it in."""
    return _in_the_guides_shell(f"filled {policy}", changes)


def documented(section: str, **changes: str) -> list[list[str]]:
    """The arguments of each call of the CLI in the section, with the guide's names or others."""
    calls = _in_the_guides_shell(console(section), changes).split("\n\0")
    return [call.split("\0")[:-1] for call in calls if call]


def _in_the_guides_shell(commands: str, changes: dict[str, str]) -> str:
    """What the commands print, after the guide's own `export` and `filled`."""
    exports = "\n".join(re.findall(r"^\$ export (.*)$", GUIDE, re.MULTILINE))
    names = dict(re.findall(r"(\w+)=([\w-]+)(?!\S)", exports))
    function = re.search(r"^\$ (filled\(\) \{.*?\})$", GUIDE, re.MULTILINE | re.DOTALL)
    assert function, "docs/aws.md has no function filled"
    done = subprocess.run(
        ["bash", "-euc", f"{RECORDER}\n{function[1]}\n{commands}"],
        env={"PATH": os.environ["PATH"], "BUCKET": "", "WORK_BUCKET": "", "ACCOUNT": "123456789012",
             **names, **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


def run_command(clients: Callable[[str], Any], arguments: list[str]) -> Any:
    """Call the operation that the arguments spell, as the CLI does."""
    service, operation, *rest = arguments
    client = clients(service)
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {xform_name(name, "-"): (name, shape) for name, shape in model.input_shape.members.items()}
    options: dict[str, list[str]] = {}
    for argument in rest:
        if argument.startswith("--"):
            options[argument[2:]] = values = []
        else:
            values.append(argument)
    parameters = {}
    for option, values in options.items():
        name, shape = members[option]
        if shape.type_name == "list" and shape.member.type_name == "structure":
            parameters[name] = [dict(pair.split("=", 1) for pair in value.split(",")) for value in values]
        elif shape.type_name in ("map", "structure"):
            [text] = values
            is_json = text.lstrip().startswith("{")
            parameters[name] = (
                json.loads(text) if is_json else dict(pair.split("=", 1) for pair in text.split(","))
            )
        else:
            parameters[name] = values if shape.type_name == "list" else values[0]
    return getattr(client, method)(**parameters)
