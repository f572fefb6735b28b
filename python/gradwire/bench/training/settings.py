"""What a run of ``bench training`` trains, how, and for how long."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gradwire.bench.options import out_of_range, require_at_least
from gradwire.errors import ConfigError

WHO = "bench training"
# Steps that one method takes before the next one has its turn, where nothing is evaluated.
ROUND_STEPS = 5
STEPS, STEPS_OF_A_CURVE = 20, 2000
MILLION = 1_000_000
HEAD_WIDTH = 32  # of the transformer's attention: its width is a multiple

# What the models' options are if they are not given. Those of char_lm are the example's, tuned on
# its dense run; those of mlp are not tuned.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "char_lm": {
        "width": 128, "layers": 3, "context": 64, "batch_size": 8, "lr": 2.5, "momentum": 0.7,
        "clip": 1.0, "min_numel": 256,
    },
    "mlp": {
        "parameters": 10.0, "context": 16, "batch_size": 8, "lr": 0.5, "momentum": 0.7,
        "clip": 1.0, "min_numel": 256,
    },
}  # fmt: skip
# Dense steps at first, and steps in which the density then falls: as the example takes them.
_WARMUP_OF_A_CURVE = _RAMP_OF_A_CURVE = 256
MODELS = tuple(_DEFAULTS)


@dataclass(frozen=True)
class Settings:
    """One run; the same on all ranks.

    Attributes:
        model: one of MODELS.
        width, layers: of char_lm; 0 for others.
        parameters: of mlp, about so many million; 0 for others.
        context: characters that the model looks at.
        batch_size: examples of a rank and step.
        lr, momentum: of SGD; lr is the largest that the step's rate becomes.
        clip: largest norm of the mean gradient.
        min_numel: tensors with fewer elements travel dense beside entries and codes.
        density: share of the elements that sparse methods select.
        warmup_steps, ramp_steps: of the density.
        steps: of each method.
        untimed: steps before the clock counts, after the density's warm-up and ramp.
        every: steps between two evaluations; None for no curve.
        seed: of parameters and data.
    """

    model: str
    width: int
    layers: int
    parameters: float
    context: int
    batch_size: int
    lr: float
    momentum: float
    clip: float
    min_numel: int
    density: float
    warmup_steps: int
    ramp_steps: int
    steps: int
    untimed: int
    every: int | None
    seed: int

    @property
    def settled(self) -> int:
        """The first step that is timed, counted from 0: all methods work at full strength then."""
        return self.warmup_steps + self.ramp_steps + self.untimed

    @property
    def checked_step(self) -> int:
        """The step whose reduction is checked: the last that is not timed."""
        return self.settled - 1

    def round_ends(self) -> list[int]:
        """Return the steps before which methods change turns; a round is timed wholly or not."""
        ends = {self.settled, self.steps}
        if self.every is None:
            ends.update(range(self.settled, self.steps, ROUND_STEPS))
        else:
            ends.update(range(self.every, self.steps, self.every))
        return sorted(ends)

    def is_evaluated(self, step: int) -> bool:
        """Return whether the held-out loss is measured after so many steps."""
        return self.every is not None and (step % self.every == 0 or step == self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return what the command line asks for.

    Raises:
        ConfigError: an option is out of range, or of another model.
    """
    curve = options.curve or options.plot is not None or options.every is not None
    warmup, ramp = (_WARMUP_OF_A_CURVE, _RAMP_OF_A_CURVE) if curve else (0, 0)
    found = Settings(
        model=options.model,
        **_of_the_model(options),
        density=options.density,
        warmup_steps=warmup if options.warmup_steps is None else options.warmup_steps,
        ramp_steps=ramp if options.ramp_steps is None else options.ramp_steps,
        steps=options.steps or (STEPS_OF_A_CURVE if curve else STEPS),
        untimed=options.untimed,
        every=(options.every or 100) if curve else None,
        seed=options.seed,
    )
    _check(found, options)
    return found


def _of_the_model(options: argparse.Namespace) -> dict[str, Any]:
    defaults, found = _DEFAULTS[options.model], {}
    for name in {**_DEFAULTS["char_lm"], **_DEFAULTS["mlp"]}:
        given = getattr(options, name)
        if given is not None and name not in defaults:
            raise ConfigError(f"{WHO}: --{name} is not an option of --model {options.model}")
        found[name] = defaults.get(name, 0) if given is None else given
    return found


def _check(found: Settings, options: argparse.Namespace) -> None:
    least = {
        "context": 1, "batch_size": 1, "min_numel": 0, "warmup_steps": 0, "ramp_steps": 0,
        "untimed": 1, "seed": 0,
    }  # fmt: skip
    if found.model == "char_lm":
        least |= {"width": HEAD_WIDTH, "layers": 1}
    require_at_least(WHO, found, least)
    require_at_least(WHO, options, {"steps": 1, "every": 1})  # 0 stands for nothing else
    if found.width % HEAD_WIDTH:
        raise out_of_range(WHO, "width", f"a multiple of {HEAD_WIDTH}", found.width)
    if found.model == "mlp" and not 0.1 <= found.parameters <= 4000:
        raise out_of_range(WHO, "parameters", "in [0.1, 4000] million", found.parameters)
    if not 0.0 < found.density < 1.0:
        raise out_of_range(WHO, "density", "in (0, 1)", found.density)
    if not 0.0 <= found.momentum < 1.0:
        raise out_of_range(WHO, "momentum", "in [0, 1)", found.momentum)
    for name in ("lr", "clip"):
        if not 0.0 < getattr(found, name) < math.inf:
            raise out_of_range(WHO, name, "above 0", getattr(found, name))
    if found.settled >= found.steps:
        raise ConfigError(
            f"{WHO}: --steps must be above {found.settled}, got {found.steps}: no step would be "
            f"timed after {found.warmup_steps} of warm-up, {found.ramp_steps} of the ramp and "
            f"{found.untimed} more; change these with --warmup-steps, --ramp-steps and --untimed"
        )
