"""What this machine is, under the limits we are given: a `cluster.Machine`, read without torch."""

from evener.probe.interfaces import interface_of
from evener.probe.machine import probe

__all__ = ["interface_of", "probe"]
