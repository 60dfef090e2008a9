"""What this machine is, under the limits we are given: a `cluster.Machine`, read without torch."""

from evener.probe.interfaces import address_facing, interface_of
from evener.probe.machine import addresses, probe

__all__ = ["address_facing", "addresses", "interface_of", "probe"]
