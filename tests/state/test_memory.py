"""
The state in a dictionary keeps the contract.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from alluxio_tw.istate import IState
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.testing.state import StateContract


class MemoryStateTests(StateContract, TestCase):
    def make_state(self) -> IState:
        return MemoryState()
