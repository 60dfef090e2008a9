"""Prepares no data, in the ways that FAKE_PREPARE names."""

from __future__ import annotations

import os
import sys
import time

match os.environ.get("FAKE_PREPARE", ""):
    case "missing" | "missing later" as how:
        time.sleep(2.0 * (how == "missing later"))
        sys.stdout.write('{"ok": false, "error": {"code": "E201", "what": "no data there"}}\n')
        sys.exit(3)
    case "crash":
        sys.exit("something broke")
    case "slow":
        time.sleep(600)
    case _:
        sys.stdout.write("a word of the user's own code\n")
        sys.stdout.write(
            '{"progress": {"text": "downloading", "done_bytes": 5000, "total_bytes": 10000}}\n'
        )
        sys.stdout.write('{"ok": true, "samples": 10, "validation_samples": 2}\n')
