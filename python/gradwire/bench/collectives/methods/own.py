"""gradwire's own reductions of one vector."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from gradwire.bench import own
from gradwire.bench.collectives.method import Case, Method, Phase
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.compressors import TopK
from gradwire.errors import GradwireError
from gradwire.exchange import Bucket, Reduced
from gradwire.kernels.arrays import aligned
from gradwire.residual import OwnedResidual
from gradwire.result import OwnedResult

# Where results go, by whose memory it is and its size; methods take turns.
_results: dict[tuple[str, int], Floats | OwnedResult] = {}


def _result_in(memory: str, numel: int) -> Floats | OwnedResult:
    """Return where results go, in memory of "gradwire" or of its "caller"."""
    made = _results.get((memory, numel))
    if made is None:
        made = OwnedResult(numel) if memory == "gradwire" else aligned(numel)
        _results[memory, numel] = made
    return made


class OwnCase(own.OwnReduction, Case):
    """One bucket of n elements on its way through `Exchange`."""

    def __init__(self, method: own.OwnMethod, job: Job, density: float) -> None:
        compressor = method.make_compressor(TopK(density))
        super().__init__(job, compressor, method.schedule, method.rounding)
        self._bucket = Bucket("bench", "gradient", job.numel)
        self._residual = OwnedResidual(job.numel) if self._traits.needs_residual else None
        self._out = _result_in(job.result_in, job.numel)
        self._steps = self._entries = 0
        self._phases: dict[str, Phase] = {}

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Reduce and commit, as the adapters do it."""
        start()
        begin = perf_counter()
        reduced = self._exchange.reduce(
            self._bucket, gradient, self._steps, self._residual, self._out
        )
        exchanged = perf_counter()
        if not reduced.finite:
            raise GradwireError("bench allreduce: an exchange of finite gradients is not finite")
        mean = self._committed(reduced)
        self._steps += 1
        self._note(reduced, exchanged - begin, perf_counter() - exchanged)
        return mean

    def _committed(self, reduced: Reduced) -> Floats:
        scale = 1.0 / self._communicator.size
        if self._residual is not None:
            return reduced.commit(self._residual, scale, self._out)
        return reduced.write(self._out, scale)

    def _note(self, reduced: Reduced, exchange: float, commit: float) -> None:
        """Keep what the step cost; "local" is what is done beside the schedule's phases."""
        self._entries = reduced.report.selected
        counts = reduced.report.phases
        phases = {name: Phase(each.seconds, each.bytes_sent) for name, each in counts.items()}
        local = exchange - sum(each.seconds for each in phases.values())
        self._phases = {"local": Phase(local, 0), **phases, "commit": Phase(commit, 0)}

    def residual(self) -> Floats | None:
        """Return the residual; None for a compressor that needs none."""
        return None if self._residual is None else self._residual.values

    def entries(self) -> int | None:
        """Return how many entries were selected in the last step."""
        return self._entries if self._traits.sparse else None

    def phases(self) -> dict[str, Phase]:
        """Return what was done beside the schedule's phases, those, and the commit."""
        return self._phases


def _method(own_method: own.OwnMethod) -> Method:
    def prepare(job: Job, density: float) -> Case:
        return OwnCase(own_method, job, density)

    return Method(own_method.name, own_method.summary, prepare, own_method.sparse)


OWN: tuple[Method, ...] = tuple(map(_method, own.OWN))
