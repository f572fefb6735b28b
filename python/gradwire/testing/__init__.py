"""Checks and inputs for tests of gradwire and of what others build on it.

:func:`check_compressor` runs everything that gradwire asks of a compressor on one of another
package; ``gradwire.testing.communicators`` has the checks of a communicator, and
``gradwire.testing.soak`` checks any number of random exchanges in a row over one.
"""

from gradwire.testing.conformance import check_compressor
from gradwire.testing.exact import exact_values, largest_terms
from gradwire.testing.gradients import SHAPES, GradientStream

__all__ = ["SHAPES", "GradientStream", "check_compressor", "exact_values", "largest_terms"]
