"""An agent as it is, but with ranks and data that take no torch and no time."""

from __future__ import annotations

import sys
from pathlib import Path

from evener.agent.__main__ import main
from evener.agent.child import Programs

HERE = Path(__file__).parent

if __name__ == "__main__":
    sys.exit(
        main(
            Programs(
                rank=(sys.executable, str(HERE / "fake_rank.py")),
                prepare=(sys.executable, str(HERE / "fake_prepare.py")),
            )
        )
    )
