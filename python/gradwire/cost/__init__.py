"""What an exchange costs: time of links and kernels, volume of each schedule, published bounds.

The alpha-beta model: a message takes alpha seconds, a byte beta seconds more, links carry both
directions at once, and a phase ends when its slowest rank is done:

    seconds of a phase = max over ranks of (alpha messages + beta max(bytes sent, bytes received))

Whoever gives the same numbers gets the same bits back, so ranks that share their measurements (as
`measure_link` and `Rates.shared` see to) can decide by a prediction without asking each other.
"""

from gradwire.cost.bounds import BOUNDS, bound_of, published_words
from gradwire.cost.link import Link, Sample, fit, measure_link, slowest
from gradwire.cost.prediction import Case, Phase, Prediction, expected_phases, predict
from gradwire.cost.rates import Rates, Work, measure_rates

__all__ = [
    "BOUNDS",
    "Case",
    "Link",
    "Phase",
    "Prediction",
    "Rates",
    "Sample",
    "Work",
    "bound_of",
    "expected_phases",
    "fit",
    "measure_link",
    "measure_rates",
    "predict",
    "published_words",
    "slowest",
]
