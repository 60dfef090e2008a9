"""An agent that is started again, by an engine that knows nothing of runs, asks the head first."""

from __future__ import annotations

import http.client
import json
import logging

from evener.state import ENDED
from evener.wire.frames import split_address

log = logging.getLogger(__name__)

ASK_S = 5.0
STATE_PATH = "/v1/state"


def is_over(head: str, secret: str) -> bool:
    """Whether the run has ended while we were gone; not so where the head cannot say."""
    host, port = split_address(head)
    connection = http.client.HTTPConnection(host, port, timeout=ASK_S)
    try:
        connection.request("GET", STATE_PATH, headers={"Authorization": f"Bearer {secret}"})
        answer = json.loads(connection.getresponse().read())
        return answer["phase"] in ENDED
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        log.info("the head does not say how the run is: %s", error)
        return False
    finally:
        connection.close()
