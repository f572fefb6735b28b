"""Moving messages between ranks, over whatever connects them.

Importing this package imports no MPI, Horovod, torch or greenlet: a communicator asks for its
transport when it is made.
"""

from gradwire.communicators.base import Communicator
from gradwire.communicators.horovod import HorovodCommunicator
from gradwire.communicators.messages import Buffer
from gradwire.communicators.mpi import MpiCommunicator
from gradwire.communicators.simulated import SimulatedCommunicator, Simulation
from gradwire.communicators.standing import Counters

__all__ = [
    "Buffer",
    "Communicator",
    "Counters",
    "HorovodCommunicator",
    "MpiCommunicator",
    "SimulatedCommunicator",
    "Simulation",
]
