"""All rows of ``bench kernels``, by family: to add a row, add it to its family's tuple."""

from gradwire.bench.row import Row
from gradwire.bench.rows.arithmetic import ARITHMETIC
from gradwire.bench.rows.bfloat16 import BFLOAT16
from gradwire.bench.rows.dynamic import DYNAMIC
from gradwire.bench.rows.encoding import ENCODING
from gradwire.bench.rows.minifloats import MINIFLOATS
from gradwire.bench.rows.momentum import MOMENTUM
from gradwire.bench.rows.packing import PACKING
from gradwire.bench.rows.quantization import QUANTIZATION
from gradwire.bench.rows.queued import QUEUED
from gradwire.bench.rows.selection import SELECTION
from gradwire.bench.rows.sparse import SPARSE
from gradwire.bench.rows.statistics import STATISTICS

ROWS: tuple[Row, ...] = (
    *STATISTICS,
    *SELECTION,
    *BFLOAT16,
    *MOMENTUM,
    *SPARSE,
    *QUANTIZATION,
    *DYNAMIC,
    *MINIFLOATS,
    *PACKING,
    *ENCODING,
    *ARITHMETIC,
)
# On a GPU also what the kernels take by themselves, without a wait of the host.
CUDA_ROWS: tuple[Row, ...] = (*ROWS, *QUEUED)
