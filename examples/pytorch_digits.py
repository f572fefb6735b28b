"""Handwritten digits with a multilayer perceptron of 994,570 parameters.

The data are the 1,797 images of 8 x 8 pixels that scikit-learn ships with (nothing is downloaded);
part ``--fold`` of ``--folds`` is held out and measured at the end. Same seed and ranks: same
result.

    python examples/pytorch_digits.py
    mpirun -np 2 python examples/pytorch_digits.py --compressor oktopk --density 0.01
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

# Horovod: the module that replaces torch.distributed.
import horovod.torch as hvd
import torch
from bookkeeping import (
    Meter,
    Score,
    common_flags,
    compression_options,
    print_and_write,
    ready_device,
    summarise,
)
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, TensorDataset

from gradwire.horovod import Compression  # gradwire: in the place of hvd.Compression

PIXELS, HIDDEN, CLASSES = 64, 960, 10


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags of the command line, or of ``argv``."""
    parser = common_flags("Digits with Horovod and gradwire")
    parser.add_argument("--momentum", type=float, default=0.9, help="SGD momentum")
    parser.add_argument("--epochs", type=int, help="epochs, instead of --steps")
    parser.add_argument("--fold", type=int, default=0, help="the part that is held out")
    parser.add_argument("--folds", type=int, default=5, help="parts the images are divided into")
    # Tuned on the dense run (--compressor none); every compressor takes them as they are.
    parser.set_defaults(batch_size=32, steps=1000, lr=0.05, warmup_steps=20, ramp_steps=40)
    return parser.parse_args(argv)


def load_data(fold: int, folds: int) -> tuple[TensorDataset, TensorDataset]:
    """Training and held-out images; the division is the same for every seed."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32)
    targets = torch.tensor(labels)
    divisions = StratifiedKFold(folds, shuffle=True, random_state=0).split(pixels, labels)
    training, held_out = list(divisions)[fold]
    return (
        TensorDataset(images[training], targets[training]),
        TensorDataset(images[held_out], targets[held_out]),
    )


def make_model() -> nn.Module:
    """Pixels (batch, 64) -> scores (batch, 10)."""
    return nn.Sequential(
        nn.Linear(PIXELS, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, CLASSES),
    )


def batches(dataset: TensorDataset, args: argparse.Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    """This rank's batches, epoch after epoch, until the steps are done."""
    # Horovod: each rank reads its own part of a permutation that all ranks share.
    sampler: DistributedSampler[Any] = DistributedSampler(
        dataset, num_replicas=hvd.size(), rank=hvd.rank(), seed=args.seed, drop_last=True
    )
    loader = DataLoader(
        dataset,
        sampler=BatchSampler(sampler, args.batch_size, drop_last=True),
        batch_size=None,
    )
    if len(loader) == 0:
        raise ValueError(
            f"--batch-size {args.batch_size} on {hvd.size()} ranks is more than the "
            f"{len(dataset)} training images; choose a smaller one"
        )
    steps = args.steps if args.epochs is None else args.epochs * len(loader)
    done = 0
    for epoch in range(-(-steps // len(loader))):
        sampler.set_epoch(epoch)
        for batch in loader:
            if done == steps:
                return
            done += 1
            yield batch


def evaluate(model: nn.Module, dataset: TensorDataset, device: torch.device) -> Score:
    """Mean loss and accuracy over the whole dataset; each rank counts its own part."""
    model.eval()
    images, targets = (t[hvd.rank() :: hvd.size()].to(device) for t in dataset.tensors)
    with torch.no_grad():
        output = model(images)
        loss = functional.cross_entropy(output, targets, reduction="sum").item()
    correct = (output.argmax(1) == targets).sum().item()
    return Score.over_ranks(loss, correct, len(dataset))


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Trains one model and returns its summary; called by every rank, after ``hvd.init()``."""
    device = ready_device(args)
    torch.manual_seed(args.seed)
    training, held_out = load_data(args.fold, args.folds)
    model = make_model()

    # Horovod: every rank starts from the parameters of rank 0. While they are still on the CPU,
    # any build of Horovod can send them.
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    model.to(device)

    # Horovod: the learning rate grows with the number of ranks.
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr * hvd.size(), momentum=args.momentum)

    # gradwire: the compression; a new one for each optimizer, because it keeps what was not sent.
    compression = getattr(Compression, args.compressor)(**compression_options(args))

    # Horovod: the optimizer that averages gradients over ranks.
    optimizer = hvd.DistributedOptimizer(
        optimizer,
        named_parameters=model.named_parameters(),
        compression=compression,  # gradwire: in the place of hvd.Compression.none
        op=hvd.Average,
        gradient_predivide_factor=args.gradient_predivide_factor,
    )

    meter = Meter(compression)
    model.train()
    for step, (images, targets) in enumerate(batches(training, args), start=1):
        meter.start()
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images.to(device)), targets.to(device))
        loss.backward()
        optimizer.step()
        meter.stop()
        # Horovod: one rank reports.
        if hvd.rank() == 0 and args.log_interval and step % args.log_interval == 0:
            print(f"step {step}: training loss {loss.item():.4f}", flush=True)

    return summarise(args, model, meter, evaluate(model, held_out, device))


def main() -> None:
    """One run with the flags of the command line."""
    args = parse_arguments()
    # Horovod: start the library, and keep to one thread because ranks share the cores.
    hvd.init()
    torch.set_num_threads(1)
    print_and_write(train(args), args.summary)


if __name__ == "__main__":
    main()
