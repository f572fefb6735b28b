"""Formats of values on the wire: plain numbers, and codes with scales."""

from __future__ import annotations

from gradwire.errors import WireError, unknown
from gradwire.kernels.quantization import MAX_BITS, MAX_BLOCK, SCALES
from gradwire.values.base import Bytes, Encoded, Float32, ValueFormat, typed
from gradwire.values.blocks import SIGN_CODE, UNIFORM_CODE, Sign, Uniform
from gradwire.values.plain import BFLOAT16, FLOAT16, FLOAT32, NO_VALUES, NOTHING, Plain, plain

PLAIN_FORMATS = (FLOAT32, FLOAT16, BFLOAT16)
# Short names of formats that round to nearest.
NAMED_FORMATS: dict[str, ValueFormat] = {
    "float32": FLOAT32,
    "fp16": FLOAT16,
    "bf16": BFLOAT16,
    "int8": Uniform(8, 512),
    "int4": Uniform(4, 512),
    "sign": Sign(512),
}


def format_named(name: str) -> ValueFormat:
    """Return a format by its short name.

    Raises:
        ConfigError: there is none such.
    """
    if name not in NAMED_FORMATS:
        raise unknown("value format", name, list(NAMED_FORMATS))
    return NAMED_FORMATS[name]


def format_on_wire(code: int, parameters: int) -> ValueFormat:
    """Return the format that a message names.

    Raises:
        WireError: there is none such.
    """
    if code < len(PLAIN_FORMATS) and parameters == 0:
        return PLAIN_FORMATS[code]
    bits, kind, block = parameters & 15, parameters >> 4 & 15, 16 * (parameters >> 8)
    if block <= MAX_BLOCK:
        if code == SIGN_CODE and bits == kind == 0:
            return Sign(block)
        known = code == UNIFORM_CODE and kind < len(SCALES)
        if known and (1 if SCALES[kind] == "minmax" else 2) <= bits <= MAX_BITS:
            return Uniform(bits, block, SCALES[kind])
    raise WireError(f"value format {code} with parameters {parameters:#x} is unknown")


__all__ = [
    "BFLOAT16",
    "FLOAT16",
    "FLOAT32",
    "NAMED_FORMATS",
    "NOTHING",
    "NO_VALUES",
    "PLAIN_FORMATS",
    "Bytes",
    "Encoded",
    "Float32",
    "Plain",
    "Sign",
    "Uniform",
    "ValueFormat",
    "format_named",
    "format_on_wire",
    "plain",
    "typed",
]
