"""The only room that speaks to Docker: through its command line, whose failures it translates.

The CLI brings contexts, credentials and the user's own settings with it, and works where an SDK
would first have to be told all that.
"""

from evener.docker.engine import DESKTOP, Engine

__all__ = ["DESKTOP", "Engine"]
