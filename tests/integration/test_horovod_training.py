"""Small models trained with every compression: they learn, and replicas stay the same."""

from typing import Any

import pytest
from chosen_gradients import RANK, SIZE, assert_replicas, horovod_running, hvd, torch

from gradwire.horovod import Compression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)
COMPRESSIONS: dict[str, Any] = {
    "none": Compression.none,
    "none called": Compression.none(),
    "fp16": Compression.fp16,
    "bf16": Compression.bf16,
    "bf16 called": Compression.bf16(),
    "topk": Compression.topk(0.05, min_numel=64),
    "randomk": Compression.randomk(0.2, min_numel=64),
    "randomk unbiased": Compression.randomk(0.5, min_numel=64, unbiased=True),
    "oktopk": Compression.oktopk(0.05, min_numel=64),
    "oktopk warm": Compression.oktopk(0.02, warmup_steps=3, ramp_steps=3, min_numel=0),
}
STEPS = 12
OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.AdamW(p, lr=0.01),
}


def _images(rank: int) -> tuple[Any, Any]:
    """Return 24 images of a rank, and their labels: which quarter is the brightest."""
    generator = torch.Generator().manual_seed(rank)
    images = torch.rand(24, 2, 6, 6, generator=generator)
    labels = torch.arange(24) % 4
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 3 * (label // 2) :, 3 * (label % 2) :][:, :3, :3] += 1
    return images, labels


def _model() -> Any:
    torch.manual_seed(1)
    frozen = torch.nn.Conv2d(2, 2, 1)
    for parameter in frozen.parameters():
        parameter.requires_grad = False
    return torch.nn.Sequential(
        frozen,
        torch.nn.Conv2d(2, 8, 3),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(128, 4),
    )


def _train(model: Any, optimizer: Any, steps: int, memory_format: Any = None) -> list[float]:
    images, labels = _images(RANK)
    if memory_format is not None:
        images = images.to(memory_format=memory_format)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "momentum") for name in COMPRESSIONS), ("oktopk", "adam"), ("randomk", "adam")],
)
def test_learns_and_replicas_agree(name: str, kind: str) -> None:
    model = _model()
    frozen = model[0].weight.clone()
    optimizer = hvd.DistributedOptimizer(
        OPTIMIZERS[kind](model.parameters()),
        named_parameters=model.named_parameters(),
        compression=COMPRESSIONS[name],
    )
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)
    before = dict(COMPRESSIONS[name].stats())
    losses = _train(model, optimizer, STEPS)
    assert losses[-1] < 0.7 * losses[0], losses
    assert_replicas(dict(model.named_parameters()))
    assert torch.equal(model[0].weight, frozen)
    stats = COMPRESSIONS[name].stats()
    assert stats["steps"] - before["steps"] == STEPS
    assert stats["nonfinite_steps"] == 0
    elements = sum(p.numel() for p in model.parameters() if p.requires_grad)
    dense = STEPS * (2 * 4 * elements * (SIZE - 1) // SIZE)
    assert (
        abs(stats["dense_bytes"] - before["dense_bytes"] - dense) < STEPS * 10
    )  # rounded tensor by tensor
    assert 0 < stats["last_bytes_sent"] <= stats["bytes_sent"]


@pytest.mark.parametrize("name", ["none", "bf16", "randomk", "oktopk"])
def test_channels_last(name: str) -> None:
    """Gradients of another memory order reduce to the same numbers."""
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        model = torch.nn.Conv2d(3, 8, 3, bias=False)
        torch.nn.init.constant_(model.weight, 0.25)
        model = model.to(memory_format=memory_format)
        optimizer = hvd.DistributedOptimizer(
            torch.optim.SGD(model.parameters(), lr=0.1),
            named_parameters=model.named_parameters(),
            compression=COMPRESSIONS[name](),
        )
        generator = torch.Generator().manual_seed(RANK)
        images = torch.randint(-3, 4, (2, 3, 5, 5), generator=generator).float()
        images = images.to(memory_format=memory_format)
        for _ in range(2):
            model.weight.grad = None
            weights = torch.arange(8.0).view(1, 8, 1, 1)
            (model(images) * weights).sum().backward()
            optimizer.synchronize()
            results.append(model.weight.grad.clone().contiguous())
            with optimizer.skip_synchronize():
                optimizer.step()
    assert results[0].any()
    assert torch.equal(results[0], results[2]) and torch.equal(results[1], results[3])
