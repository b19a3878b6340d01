"""The program inside the package: `tomograph …` or `python -m tomograph …`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).parent / "bin" / "tomograph"
    if not program.exists():
        sys.exit("tomograph: the program is not part of this build; install the package with pip")
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
