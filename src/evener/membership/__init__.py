"""Who trains together: generations, agreed by agents in a pure state machine.

No I/O, no clock, no threads: `agent` feeds it what happened and does what it asks.
"""

from evener.membership.generation import Ballot, Generation, Member
from evener.membership.machine import Membership

__all__ = ["Ballot", "Generation", "Member", "Membership"]
