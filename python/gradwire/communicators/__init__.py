"""Moving messages between ranks, over whatever connects them.

Importing this package imports no MPI, Horovod, torch or greenlet: a communicator asks for its
transport when it is made.
"""

from gradwire.communicators.base import Buffer, Communicator, Counters
from gradwire.communicators.horovod import HorovodCommunicator
from gradwire.communicators.mpi import MpiCommunicator
from gradwire.communicators.simulated import SimulatedCommunicator, Simulation

__all__ = [
    "Buffer",
    "Communicator",
    "Counters",
    "HorovodCommunicator",
    "MpiCommunicator",
    "SimulatedCommunicator",
    "Simulation",
]
