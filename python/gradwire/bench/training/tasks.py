"""The models, and the loss of what they predict: to add one, add a class to `TASKS`.

All of them predict characters (see `char_lm`).
"""

from __future__ import annotations

import abc
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradwire.bench.training.char_lm import CHARACTERS, HELD_OUT_WINDOWS, Transformer
from gradwire.bench.training.settings import MILLION, Settings

_EMBEDDED = 32  # numbers that the perceptron sees of a character


class Task(abc.ABC):
    """A model and its loss.

    Attributes:
        held_out_windows: pieces of the held-out text that an evaluation looks at.
    """

    held_out_windows: int

    @abc.abstractmethod
    def build(self, settings: Settings) -> nn.Module:
        """Return the model, with parameters drawn from torch's generator."""

    @abc.abstractmethod
    def losses(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of every prediction, in nats, flat float32.

        Args:
            model: what `build` returned.
            inputs: (batch, context) int64 codes.
            targets: (batch, context) int64, the characters that follow each of them.
        """


class CharLm(Task):
    """A transformer that predicts the character after each position."""

    held_out_windows = HELD_OUT_WINDOWS

    def build(self, settings: Settings) -> nn.Module:
        """Return a transformer of the settings' width and layers."""
        return Transformer(settings.context, settings.width, settings.layers)

    def losses(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return batch times context losses."""
        scores = model(inputs).flatten(0, 1)
        return functional.cross_entropy(scores, targets.flatten(), reduction="none")


class Mlp(Task):
    """A perceptron of two hidden layers that predicts the character after its window.

    Little to compute for each parameter: what costs most is to move its gradient.
    """

    held_out_windows = 8192

    def build(self, settings: Settings) -> nn.Module:
        """Return a perceptron of about as many parameters as the settings say."""
        inputs = _EMBEDDED * settings.context
        hidden = hidden_width(inputs, settings.parameters * MILLION)
        return nn.Sequential(
            nn.Embedding(CHARACTERS, _EMBEDDED),
            nn.Flatten(),
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, CHARACTERS),
        )

    def losses(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return batch losses."""
        return functional.cross_entropy(model(inputs), targets[:, -1], reduction="none")


TASKS: dict[str, Task] = {"char_lm": CharLm(), "mlp": Mlp()}


def hidden_width(inputs: int, parameters: float) -> int:
    """Return the width h for which h^2 + (inputs + CHARACTERS + 2) h, and the rest, is closest."""
    linear, rest = inputs + CHARACTERS + 2, CHARACTERS * (_EMBEDDED + 1)
    found = (math.sqrt(linear**2 + 4 * max(0.0, parameters - rest)) - linear) / 2
    return max(1, round(found))


def count_parameters(settings: Settings) -> int:
    """Return how many parameters the model has, without their memory."""
    with torch.device("meta"):
        model: Any = TASKS[settings.model].build(settings)
    return sum(each.numel() for each in model.parameters())
