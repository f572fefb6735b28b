"""Compressors by name: stored configurations, wrong arguments, and other packages' compressors."""

from pathlib import Path

import numpy as np
import pytest

import gradwire
from gradwire.compressors import (
    BF16,
    NoCompression,
    RandomK,
    TopK,
    compressor_class,
    compressor_ids,
    get_compressor,
    register,
    registry,
)
from gradwire.errors import ConfigError, GradwireError

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from gradwire.compressors import NoCompression

@dataclass(frozen=True)
class Plugin(NoCompression):
    id: ClassVar[str] = "plugin"

class TakenId(NoCompression):
    id = "topk"

class NotACompressor:
    id = "stranger"

instance = Plugin()
"""


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a fake installed package that announces compressors, and an unread registry."""

    def make(*lines: str) -> None:
        (tmp_path / "fake_plugin.py").write_text(PLUGIN)
        information = tmp_path / "fake_plugin-1.0.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fake-plugin\nVersion: 1.0\n"
        )
        (information / "entry_points.txt").write_text(
            "\n".join(["[gradwire.compressors]", *lines, ""])
        )

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_announced_loaded", False)
    return make


def test_own_compressors() -> None:
    assert {"none", "fp16", "bf16", "topk", "randomk"} <= set(compressor_ids())
    assert compressor_ids() == sorted(compressor_ids())
    assert compressor_class("topk") is TopK
    assert get_compressor("bf16") == BF16()
    assert gradwire.get_compressor is get_compressor


def test_announced_compressor_is_found(announce) -> None:
    announce("plugin = fake_plugin:Plugin")
    assert "plugin" in compressor_ids()
    assert get_compressor({"id": "plugin"}).config() == {"id": "plugin"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("stranger = fake_plugin:NotACompressor", "'stranger'.* subclass of gradwire.Compressor"),
        ("plugin = fake_plugin:instance", "'plugin'.* subclass of gradwire.Compressor"),
        ("other = fake_plugin:Plugin", "'other' names a compressor with id 'plugin'"),
        ("topk = fake_plugin:TakenId", r"'topk' is already taken by .*TopK; give .*TakenId"),
        ("absent = fake_plugin:Absent", "'absent'.*Absent"),
        ("absent = no_such_module_here:Absent", "'absent'.*no_such_module_here"),
    ],
)
def test_wrong_announcements(announce, line: str, complaint: str) -> None:
    """The same error at every call: the registry does not go on half-read."""
    announce(line)
    for _ in range(2):
        with pytest.raises(ConfigError, match=complaint):
            compressor_ids()
        with pytest.raises(ConfigError, match=complaint):
            get_compressor("topk")


def test_wrong_announcement_that_is_put_right(announce) -> None:
    announce("other = fake_plugin:Plugin")
    with pytest.raises(ConfigError):
        compressor_ids()
    announce("plugin = fake_plugin:Plugin")
    assert "plugin" in compressor_ids()


def test_duplicate_id() -> None:
    class Second(NoCompression):
        id = "none"

    assert register(NoCompression) is NoCompression  # again: fine
    with pytest.raises(ConfigError, match=r"'none' is already taken by gradwire.*NoCompression"):
        register(Second)
    assert compressor_class("none") is NoCompression


@pytest.mark.parametrize(
    ("name", "config", "complaint"),
    [
        ("topkk", {}, "unknown compressor 'topkk'; known: .*topk"),
        ("topk", {"densty": 0.1}, "'topk'.*densty"),
        ("topk", {"density": 0}, r"TopK: density must be in \(0, 1\], got 0"),
        ("topk", {"density": 1.5}, r"TopK: density must be in \(0, 1\], got 1.5"),
        ("topk", {"density": -0.1}, "density"),
        ("topk", {"density": float("nan")}, "density"),
        ("topk", {"density": "0.1"}, "density"),
        ("topk", {"density": True}, "density"),
        ("topk", {"density": None}, "density"),
        ("randomk", {"unbiased": 1}, "RandomK: unbiased must be True or False, got 1"),
        ("randomk", {"warmup_steps": -1}, "RandomK: warmup_steps must be an integer >= 0"),
        ("randomk", {"ramp_steps": 1.5}, "ramp_steps"),
        ("randomk", {"ramp_steps": True}, "ramp_steps"),
        ({"density": 0.1}, {}, "needs an 'id'"),
        ({"id": 3}, {}, "must be a string"),
        (3, {}, "must be a string"),
        (None, {}, "must be a string"),
    ],
)
def test_wrong_configurations(name, config, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        get_compressor(name, **config)
    assert isinstance(caught.value, (GradwireError, ValueError))


def test_numpy_numbers_are_numbers() -> None:
    """The configuration is what it would be with Python's numbers, on every rank."""
    for density in (np.float32(0.25), np.float64(0.25)):
        made = TopK(density, np.int64(3), np.int32(4))
        assert made == TopK(0.25, 3, 4)
        assert repr(made) == repr(TopK(0.25, 3, 4))
        assert made.config() == TopK(0.25, 3, 4).config()
    assert repr(RandomK(1)) == repr(RandomK(1.0))


@pytest.mark.parametrize("kind", [TopK, RandomK])
def test_budget_at_every_step(kind: type[TopK]) -> None:
    plain, ramped = kind(0.01), kind(0.01, warmup_steps=2, ramp_steps=3)
    assert [plain.budget(n, 0) for n in (0, 1, 49, 50, 149, 151, 1000)] == [0, 1, 1, 1, 1, 2, 10]
    budgets = [ramped.budget(10_000, step) for step in range(8)]
    assert budgets == [10_000, 10_000, 3162, 1000, 316, 100, 100, 100]
    assert kind(1.0).budget(77, 5) == 77
