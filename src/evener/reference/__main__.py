"""`python -m evener.reference --write FOLDER` makes the pages anew; without --write it compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evener.reference.pages import pages, stale


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evener.reference", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what differs")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/reference"))
    asked = parser.parse_args()
    found = stale(asked.folder)
    for name in found:
        path = asked.folder / name
        if asked.write:
            asked.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[name], encoding="utf-8")
        sys.stdout.write(f"{path} {'written' if asked.write else 'is out of date'}\n")
    return int(bool(found) and not asked.write)


if __name__ == "__main__":
    sys.exit(main())
