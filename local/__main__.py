"""`python -m local`: run in the project's virtual environment, also when called with another Python."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"


def main() -> int:
    if Path(sys.prefix).resolve() != VENV.resolve():
        python = VENV / "bin" / "python"
        if python.exists():
            os.chdir(ROOT)
            os.execv(python, [str(python), "-m", "local", *sys.argv[1:]])
    try:
        from local.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("local"):
            raise
        print(
            f"error: this Python ({sys.executable}) lacks the package {error.name}.\n"
            "Run `make demo` or `make up` once: they install what is needed into .venv.",
            file=sys.stderr,
        )
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
