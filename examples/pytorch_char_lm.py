"""Character language model: a transformer of 636,160 parameters on Python's own source files.

The text is the standard library that runs this script (nothing is downloaded); every tenth file is
held out and measured at the end. Same seed, same ranks, same Python: same result.

    python examples/pytorch_char_lm.py --steps 200
    mpirun -np 2 python examples/pytorch_char_lm.py --compressor oktopk --density 0.01
"""

from __future__ import annotations

import argparse
from statistics import fmean
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
from torch import Tensor, nn
from torch.nn import functional

# The model and its data; `python -m gradwire bench training` measures the same.
from gradwire.bench.training.char_lm import (
    CONTEXT,
    HELD_OUT_WINDOWS,
    Transformer,
    learning_rate,
    load_text,
    windows,
)
from gradwire.horovod import Compression  # gradwire: in the place of hvd.Compression


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags of the command line, or of ``argv``."""
    parser = common_flags("Character language model with Horovod and gradwire")
    parser.add_argument(
        "--context", type=int, default=CONTEXT, help="characters the model looks at"
    )
    parser.add_argument("--momentum", type=float, default=0.7, help="SGD momentum")
    parser.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradient")
    # The best of the dense runs (--compressor none) that were tried; every compressor takes them as
    # they are. With momentum 0.9 the dense run learns as well, but Ok-Topk falls behind: what waits
    # in the residual already acts like momentum.
    parser.set_defaults(batch_size=8, steps=2000, lr=2.5, warmup_steps=256, ramp_steps=256)
    # In a model this small the biases would be a third of what is sent; from 256 elements on they
    # are selected from like the rest.
    parser.set_defaults(min_numel=256)
    return parser.parse_args(argv)


def evaluate(model: nn.Module, text: Tensor, context: int, device: torch.device) -> Score:
    """Mean loss and accuracy over windows spread evenly; each rank measures its own part."""
    model.eval()
    starts = torch.linspace(0, len(text) - context - 1, HELD_OUT_WINDOWS).long()
    total = correct = 0.0
    with torch.no_grad():
        for part in starts[hvd.rank() :: hvd.size()].split(32):
            inputs, targets = (t.to(device) for t in windows(text, part, context))
            scores, targets = model(inputs).flatten(0, 1), targets.flatten()
            total += functional.cross_entropy(scores, targets, reduction="sum").item()
            correct += (scores.argmax(1) == targets).sum().item()
    return Score.over_ranks(total, correct, len(starts) * context)


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Trains one model and returns its summary; called by every rank, after ``hvd.init()``."""
    device = ready_device(args)
    torch.manual_seed(args.seed)
    training, held_out = load_text()
    model = Transformer(args.context)

    # Horovod: every rank starts from the parameters of rank 0. While they are still on the CPU,
    # any build of Horovod can send them.
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    model.to(device)

    # Gradients are clipped, so the learning rate stays as it is on more ranks.
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

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
    losses: list[float] = []
    offsets = torch.Generator().manual_seed(args.seed)
    for step in range(args.steps):
        # Horovod: all ranks draw the same offsets, and each reads its own part of them.
        starts = torch.randint(
            len(training) - args.context, (args.batch_size * hvd.size(),), generator=offsets
        )[hvd.rank() :: hvd.size()]
        inputs, targets = (t.to(device) for t in windows(training, starts, args.context))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr)
        meter.start()
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        # Horovod: clip the averaged gradient, so wait for it before the step.
        optimizer.synchronize()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        with optimizer.skip_synchronize():
            optimizer.step()
        meter.stop()
        losses.append(loss.item())
        # Horovod: one rank reports.
        if hvd.rank() == 0 and args.log_interval and (step + 1) % args.log_interval == 0:
            print(f"step {step + 1}: training loss {fmean(losses[-50:]):.4f}", flush=True)

    return summarise(args, model, meter, evaluate(model, held_out, args.context, device))


def main() -> None:
    """One run with the flags of the command line."""
    args = parse_arguments()
    # Horovod: start the library, and keep to one thread because ranks share the cores.
    hvd.init()
    torch.set_num_threads(1)
    print_and_write(train(args), args.summary)


if __name__ == "__main__":
    main()
