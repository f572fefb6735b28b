"""Encoders that are only queued; see `gradwire.kernels.quantization`, `.signs` and `.natural`.

step: (1,) uint32 on the device, which is read instead of ``random.step`` when the work is done.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import choice, flag, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, length
from gradwire.kernels.quantization import MAX_BLOCK, SCALES, Quantized
from gradwire.kernels.random_bits import RandomStream


def quantize_workspace(n: int, block: int, scale: str = "absmax", *, given: bool = False) -> int:
    """Return the bytes of workspace of quantize and compensate_quantize; most often 0.

    given: whether scales are.
    """
    who = "queued.quantize_workspace"
    n = integer(f"{who}: n", n, 0, MAX_LENGTH)
    block = integer(f"{who}: block", block, 0, MAX_BLOCK)
    scale, given = choice(f"{who}: scale", scale, SCALES), flag(f"{who}: given", given)
    return int(native.cuda().queued_quantize_workspace(who, n, block, scale, given))


def quantize(
    x: Array,
    bits: int,
    block: int,
    *,
    levels: int | None = None,
    scale: str = "absmax",
    random: RandomStream | None = None,
    step: Array | None = None,
    given: Array | None = None,
    out_codes: Array,
    out_scales: Array | None = None,
    workspace: Array | None = None,
) -> Quantized:
    """Queue `gradwire.kernels.quantize` and return views of its outputs.

    out_scales: None only if scales are given. workspace: quantize_workspace(n, block, scale) bytes.
    """
    operations = native.cuda()
    scales = out_scales if given is None else given
    room = _quantize_room("queued.quantize", x, block, scale, given, workspace)
    result = operations.queued_quantize(
        x, bits, levels, block, scale, random, step, given is not None, scales, out_codes, room,
    )  # fmt: skip
    return Quantized._make(result)


def compensate_quantize(
    gradient: Array,
    residual: Array,
    bits: int,
    block: int,
    out_error: Array,
    *,
    levels: int | None = None,
    scale: str = "absmax",
    random: RandomStream | None = None,
    step: Array | None = None,
    given: Array | None = None,
    out_codes: Array,
    out_scales: Array | None = None,
    workspace: Array | None = None,
) -> Quantized:
    """Queue `gradwire.kernels.compensate_quantize`; the rest as for quantize."""
    operations = native.cuda()
    scales = out_scales if given is None else given
    room = _quantize_room("queued.compensate_quantize", gradient, block, scale, given, workspace)
    result = operations.queued_compensate_quantize(
        gradient, residual, bits, levels, block, scale, random, step, given is not None, out_error,
        scales, out_codes, room,
    )  # fmt: skip
    return Quantized._make(result)


def sign_workspace(n: int, block: int, *, given: bool = False) -> int:
    """Return the bytes of workspace of quantize_sign and compensate_sign; most often 0.

    given: whether scales are.
    """
    who = "queued.sign_workspace"
    n = integer(f"{who}: n", n, 0, MAX_LENGTH)
    block, given = integer(f"{who}: block", block, 0, MAX_BLOCK), flag(f"{who}: given", given)
    return int(native.cuda().queued_sign_workspace(who, n, block, given))


def quantize_sign(
    x: Array,
    block: int,
    *,
    given: Array | None = None,
    out_codes: Array,
    out_scales: Array | None = None,
    workspace: Array | None = None,
) -> Quantized:
    """Queue `gradwire.kernels.quantize_sign` and return views of its outputs.

    out_scales: None only if scales are given. workspace: sign_workspace(n, block) bytes.
    """
    operations = native.cuda()
    scales = out_scales if given is None else given
    room = _sign_room("queued.quantize_sign", x, block, given, workspace)
    result = operations.queued_quantize_sign(x, block, given is not None, scales, out_codes, room)
    return Quantized._make(result)


def compensate_sign(
    gradient: Array,
    residual: Array,
    block: int,
    out_error: Array,
    *,
    given: Array | None = None,
    out_codes: Array,
    out_scales: Array | None = None,
    workspace: Array | None = None,
) -> Quantized:
    """Queue `gradwire.kernels.compensate_sign`; the rest as for quantize_sign."""
    operations = native.cuda()
    scales = out_scales if given is None else given
    room = _sign_room("queued.compensate_sign", gradient, block, given, workspace)
    result = operations.queued_compensate_sign(
        gradient, residual, block, given is not None, out_error, scales, out_codes, room
    )
    return Quantized._make(result)


def quantize_natural(
    x: Array,
    random: RandomStream,
    out_codes: Array,
    out_not_finite: Array,
    step: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.quantize_natural`.

    out_not_finite: (1,) uint32, which becomes 0 if all of x is finite, else another number.
    """
    native.cuda().queued_quantize_natural(x, random, out_codes, out_not_finite, step)


def _quantize_room(
    who: str, x: Array, block: int, scale: str, given: Array | None, workspace: Array | None
) -> Array:
    if workspace is not None:
        return workspace
    operations = native.cuda()
    size = operations.queued_quantize_workspace(who, length(x), block, scale, given is not None)
    return native.workspace(size, x)


def _sign_room(
    who: str, x: Array, block: int, given: Array | None, workspace: Array | None
) -> Array:
    if workspace is not None:
        return workspace
    size = native.cuda().queued_sign_workspace(who, length(x), block, given is not None)
    return native.workspace(size, x)
