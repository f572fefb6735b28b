"""Characters of Python's own source files, and a transformer that predicts them.

The text is the standard library that runs this process (nothing is downloaded); every tenth file is
held out. ``examples/pytorch_char_lm.py`` trains the same model.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gradwire.bench.training.settings import HEAD_WIDTH

CHARACTERS = 128  # ASCII; the last code stands for every other byte
WIDTH, LAYERS, CONTEXT = 128, 3, 64
TRAINING_BYTES, HELD_OUT_BYTES = 2_000_000, 200_000
HELD_OUT_WINDOWS = 512


class Text(NamedTuple):
    """Codes below CHARACTERS, int64."""

    training: Tensor
    held_out: Tensor


def load_text() -> Text:
    """Return training and held-out text.

    Modules whose name starts with an underscore are left out: some are generated when Python is
    built and differ between machines.

    Raises:
        FileNotFoundError: the standard library is not installed as source.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(path for path in library.glob("*.py") if not path.name.startswith("_"))
    if len(files) < 10:
        raise FileNotFoundError(
            f"{library} has {len(files)} source files, expected at least 10; "
            "run under a Python whose standard library is installed as source"
        )
    held_out = files[::10]
    training = [path for path in files if path not in held_out]
    return Text(_read(training, TRAINING_BYTES), _read(held_out, HELD_OUT_BYTES))


def _read(files: list[Path], limit: int) -> Tensor:
    """Return the first ``limit`` bytes of the files, one after the other, as codes."""
    text = b"".join(path.read_bytes() for path in files)[:limit]
    codes = np.minimum(np.frombuffer(text, dtype=np.uint8), CHARACTERS - 1)
    return torch.from_numpy(codes.astype(np.int64))


class Transformer(nn.Module):
    """Decoder-only: each position predicts the next character from those up to it.

    Args:
        context: characters that it looks at.
        width: of its layers, a multiple of HEAD_WIDTH.
        layers: number of them.
    """

    def __init__(self, context: int = CONTEXT, width: int = WIDTH, layers: int = LAYERS) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width,
            width // HEAD_WIDTH,
            4 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.embedding = nn.Embedding(CHARACTERS, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, CHARACTERS)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context))

    def forward(self, codes: Tensor) -> Tensor:
        """Return (batch, context, CHARACTERS) scores of (batch, context) int64 codes."""
        hidden = self.embedding(codes) + self.positions
        scores: Tensor = self.head(self.layers(hidden, mask=self.mask, is_causal=True))
        return scores


def windows(text: Tensor, starts: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Return inputs and the characters that follow them, both (len(starts), context)."""
    positions = starts[:, None] + torch.arange(context + 1)
    codes = text[positions]
    return codes[:, :-1], codes[:, 1:]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return a rate that rises over the first twentieth of the steps, then falls towards zero."""
    rise = max(1, steps // 20)
    return peak * min((step + 1) / rise, (steps - step) / (steps - rise + 1))
