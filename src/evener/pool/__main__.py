"""`python -m evener.pool serve|work`: a pool's server, and a machine that has joined one."""

from __future__ import annotations

import logging
import sys

from evener import errors
from evener.pool import house


def main(what: str) -> int:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        if what == "serve":
            from evener.pool import serving

            pool = house.read_pool()
            if pool is None:
                raise errors.NoPool("this machine has no pool", fix="evener up")
            serving.main(pool)
        else:
            from evener.pool import joiner

            joiner.main(house.joined_folder())
    except errors.EvenerError as error:
        logging.error("%s", error)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
