"""`python -m evener.pool serve|work|mesh FILE|beside FOLDER`: a pool's server, a machine that has
joined, its mesh, and that of a container beside it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from evener import errors
from evener.pool import beside, house, nebula


def main(what: str) -> int:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        if what == "serve":
            from evener.pool import serving

            pool = house.read_pool()
            if pool is None:
                raise errors.NoPool("this machine has no pool", fix="evener up")
            serving.main(pool)
        elif what == "mesh":
            nebula.become(sys.argv[2])
        elif what == "beside":
            return beside.main(Path(sys.argv[2]))
        else:
            from evener.pool import joiner

            return joiner.main(house.joined_folder())
    except errors.EvenerError as error:
        logging.error("%s", error)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
