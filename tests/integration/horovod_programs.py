"""Programs for jobs that end in a special way; run by test_launched_horovod.py.

Usage: horovod_programs.py SCENARIO
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

if "OMPI_COMM_WORLD_SIZE" in os.environ and "--horovod-first" not in sys.argv:
    import mpi4py.MPI  # noqa: F401
import horovod.torch as hvd
import torch

from gradwire.horovod import Compression

STEPS = 4


def start(compression: Any) -> tuple[Any, Any]:
    """Return a small model and its optimizer."""
    hvd.init()
    torch.manual_seed(1)
    model = torch.nn.Linear(60, 40)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer = hvd.DistributedOptimizer(
        sgd, named_parameters=model.named_parameters(), compression=compression
    )
    return model, optimizer


def train(model: Any, optimizer: Any, steps: int = STEPS) -> None:
    """Take some steps."""
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.full((8, 60), 1.0 + step + hvd.rank())).square().sum().backward()
        optimizer.step()


def say(text: str) -> None:
    """Print a line in one piece."""
    sys.stdout.write(f"rank {hvd.rank()} {text}\n")
    sys.stdout.flush()


def ends() -> None:
    """Use several compressions and just come to the end."""
    compressions = [Compression.oktopk(0.1), Compression.topk(0.1), Compression.bf16]
    for compression in compressions:
        train(*start(compression))
        assert compression.stats()["steps"] == STEPS
    say("done")


def shuts_down() -> None:
    """Say goodbye to Horovod while optimizers and communicators are alive."""
    compression = Compression.oktopk(0.1)
    kept = start(compression)
    train(*kept)
    hvd.shutdown()
    sys.stdout.write("one done\n")


def resets() -> None:
    """What Horovod's elastic states do: forget everything, start again, go on."""
    compression = Compression.oktopk(0.1)
    train(*start(compression))
    state = compression.state_dict()
    compression.reset()
    hvd.shutdown()
    model, optimizer = start(compression)
    assert compression.state_dict()["optimizers"] == []
    compression.load_state_dict(state)
    train(model, optimizer)
    (after,) = compression.state_dict()["optimizers"]
    assert after["step"] == 2 * STEPS
    say("done")


def raises() -> None:
    """Rank 1 meets a bug of its own in the middle of training."""
    model, optimizer = start(Compression.oktopk(0.1))
    train(model, optimizer)
    if hvd.rank() == 1:
        raise RuntimeError("the data of rank 1 are broken")
    train(model, optimizer)


def raises_before_step() -> None:
    """Rank 1 does not like its loss, when the others are in the exchange already."""
    model, optimizer = start(Compression.oktopk(0.1))
    train(model, optimizer)
    optimizer.zero_grad()
    model(torch.ones(8, 60)).sum().backward()
    if hvd.rank() == 1:
        raise RuntimeError("the loss of rank 1 is not finite")
    optimizer.step()
    train(model, optimizer)


def raises_in_step() -> None:
    """Rank 1 loads the state of another model, which shows in the middle of its next step."""
    compression = Compression.oktopk(0.1)
    model, optimizer = start(compression)
    train(model, optimizer)
    state = compression.state_dict()
    if hvd.rank() == 1:
        state["optimizers"][0]["residuals"]["weight"] = torch.zeros(7)
    compression.load_state_dict(state)
    train(model, optimizer)


def joins() -> None:
    """Rank 0 has less data than the others and waits in hvd.join()."""
    model, optimizer = start(Compression.oktopk(0.1))
    train(model, optimizer)
    if hvd.rank() == 0:
        hvd.join()
    else:
        train(model, optimizer)
        hvd.join()


def joins_without_compression() -> None:
    """The same is fine for what Horovod sums."""
    for compression in (Compression.none, Compression.fp16):
        model, optimizer = start(compression)
        train(model, optimizer, STEPS if hvd.rank() == 0 else 2 * STEPS)
        hvd.join()
    say("done")


def disagrees() -> None:
    """Rank 1 was started with another density."""
    model, optimizer = start(Compression.oktopk(0.2 if hvd_rank() == 1 else 0.1))
    train(model, optimizer)


def hvd_rank() -> int:
    """Return this rank, Horovod being initialised for it."""
    hvd.init()
    rank: int = hvd.rank()
    return rank


PROGRAMS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        ends,
        shuts_down,
        resets,
        raises,
        raises_before_step,
        raises_in_step,
        joins,
        joins_without_compression,
        disagrees,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
