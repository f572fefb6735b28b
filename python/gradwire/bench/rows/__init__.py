"""All rows of ``bench kernels``, by family: to add a row, add it to its family's tuple."""

from gradwire.bench.row import Row
from gradwire.bench.rows.encoding import ENCODING
from gradwire.bench.rows.selection import SELECTION
from gradwire.bench.rows.sparse import SPARSE
from gradwire.bench.rows.statistics import STATISTICS

ROWS: tuple[Row, ...] = (*STATISTICS, *SELECTION, *SPARSE, *ENCODING)
