"""What every compressor must do, whatever it claims: one call checks all of it.

For the author of a compressor in another package::

    from gradwire.testing import check_compressor

    def test_conformance():
        check_compressor(MyCompressor(bits=4))

``CHECKS`` has the same checks one by one, by name. Each raises AssertionError. Those of a
compressor's traits are in :mod:`gradwire.testing.claims`.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.compressors import Compressor, Context, compressor_ids, get_compressor
from gradwire.payload import Float32, Indices, Payload
from gradwire.testing import claims
from gradwire.testing.cases import (
    STEPS,
    context,
    inputs,
    require,
    restored,
    same_bits,
    same_payload,
)
from gradwire.testing.exact import exact_values
from gradwire.wire import HEADER_BYTES, decode_payload, encode_payload

Check = Callable[[Compressor], None]


def check_compressor(compressor: Compressor) -> None:
    """Run all checks on one configuration of a compressor.

    Raises:
        AssertionError: at the first check that fails; it names the compressor and the case.
    """
    for check in CHECKS.values():
        check(compressor)


def check_identity(compressor: Compressor) -> None:
    """The configuration is the identity: JSON, repr and pickle give an equal compressor."""
    kind, config = type(compressor), compressor.config()
    require(config.get("id") == kind.id, compressor, f"config() must have its id, got {config}")
    read = json.loads(json.dumps(config))
    require(read == config, compressor, f"config() must survive JSON, got {config}")
    arguments = {name: value for name, value in read.items() if name != "id"}
    evaluated = eval(repr(compressor), {kind.__name__: kind})
    copies = {
        "its class called with config()": kind(**arguments),
        "eval(repr())": evaluated,
        "pickle": pickle.loads(pickle.dumps(compressor)),
    }
    if kind.id in compressor_ids():
        copies["get_compressor(config())"] = get_compressor(read)
    for way, copy in copies.items():
        require(
            type(copy) is kind and copy == compressor and hash(copy) == hash(compressor),
            compressor,
            f"{way} gives {copy!r}, which is not equal to it",
        )
    require(compressor != object(), compressor, "must not equal anything else")


def check_payload_is_valid(compressor: Compressor) -> None:
    """Types, order and range of what is sent; nothing is sent of an empty bucket."""
    for what, values in inputs():
        for step in STEPS:
            payload = compressor.compress(values, context(step))
            where = f"{what}, step {step}"
            require(
                payload.indices.dtype == np.uint32 and payload.values.dtype == np.float32,
                compressor,
                f"{where}: indices must be uint32 and values float32",
            )
            increasing = bool(np.all(np.diff(payload.indices.astype(np.int64)) > 0))
            require(increasing, compressor, f"{where}: indices must increase strictly")
            in_range = not len(payload.indices) or int(payload.indices[-1]) < payload.numel
            require(in_range, compressor, f"{where}: index beyond numel")
            require(
                payload.numel in (0, len(values)),
                compressor,
                f"{where}: numel must be 0 or {len(values)}, got {payload.numel}",
            )
            require(payload.finite(), compressor, f"{where}: finite input, non-finite payload")
            elements = len(payload.indices) + len(payload.dense)
            require(elements <= len(values), compressor, f"{where}: more values than elements")


def check_input_is_only_read(compressor: Compressor) -> None:
    """Neither compress nor decompress changes what it is given, even where it could."""
    for what, values in inputs():
        before = values.copy()
        payload = compressor.compress(values, context())
        copy = _copied(payload)
        restored(compressor, payload, len(values), context())
        require(same_bits(values, before), compressor, f"{what}: compress changed its input")
        require(same_payload(payload, copy), compressor, f"{what}: decompress changed its input")
        values.flags.writeable = False
        require(
            same_payload(compressor.compress(values, context()), copy),
            compressor,
            f"{what}: another payload for read-only input",
        )


def check_determinism(compressor: Compressor) -> None:
    """The same input and context give the same bits, whatever was called before."""
    twin = pickle.loads(pickle.dumps(compressor))
    first = [
        _copied(compressor.compress(values, context(step)))
        for _, values in inputs()
        for step in STEPS
    ]
    cases = [(what, values, step) for what, values in inputs() for step in STEPS]
    for (what, values, step), payload in reversed(list(zip(cases, first, strict=True))):
        again = twin.compress(values, context(step))
        require(same_payload(payload, again), compressor, f"{what}, step {step}: not repeatable")
        outs = [restored(each, payload, len(values), context(step)) for each in (compressor, twin)]
        require(same_bits(outs[0], outs[1]), compressor, f"{what}: decompress is not deterministic")


def check_decompress_writes_everything(compressor: Compressor) -> None:
    """Every element of the output is written, and is finite for finite input."""
    for what, values in inputs():
        for step in STEPS:
            at = context(step)
            out = restored(compressor, compressor.compress(values, at), len(values), at)
            require(bool(np.isfinite(out).all()), compressor, f"{what}, step {step}: gaps")


def check_wire(compressor: Compressor) -> None:
    """A payload comes out of its wire form as its receiver should see it, and is not long."""
    for what, values in inputs():
        for step in STEPS:
            payload = compressor.compress(values, context(step))
            data = encode_payload(payload)
            expected = _wire_bytes(payload)
            require(len(data) <= expected, compressor, f"{what}: {len(data)} bytes > {expected}")
            require(
                same_payload(decode_payload(data), payload.received()),
                compressor,
                f"{what}, step {step}: the wire changed the payload",
            )


def check_global_random_state(compressor: Compressor) -> None:
    """The generators of Python, NumPy and torch are left alone."""
    before = _random_states()
    for _, values in inputs((33, 1025)):
        at = context(1000)
        restored(compressor, compressor.compress(values, at), len(values), at)
        compressor.compensate(values, values.copy(), np.empty_like(values), at)
    require(
        before == _random_states(), compressor, "it drew from or seeded a global random generator"
    )


def check_nonfinite_is_reported(compressor: Compressor) -> None:
    """One Inf or NaN, wherever it is, makes the payload non-finite."""
    for numel in (1, 33, 1025):
        for position in {0, numel // 2, numel - 1}:
            for bad in (np.nan, np.inf, -np.inf):
                values = exact_values(np.random.default_rng(numel), numel)
                values[position] = bad
                for step in STEPS:
                    payload = compressor.compress(values, context(step))
                    require(
                        not payload.finite(),
                        compressor,
                        f"{bad} at {position} of {numel}, step {step}: the payload is finite",
                    )


def check_compensate(compressor: Compressor) -> None:
    """Compensating is adding, then compressing, for any floor; the residual is only read.

    The accumulator is then the sum, or what rounding took away of it.
    """
    overflowing = ("sums beyond float32", np.full(33, 3e38, np.float32))
    for what, gradient in (*inputs(), overflowing):
        residual = gradient[::-1] * np.float32(0.75)
        with np.errstate(over="ignore"):
            residual_before, total = residual.copy(), residual + gradient
        residual.flags.writeable = False
        largest = float(np.abs(gradient).max(initial=0))
        for floor in (0.0, 0.5 * largest, largest, 4 * largest):
            at = context(1000, floor=floor)
            expected = compressor.compress(total, at)
            kept = _compensated(total, expected)
            separate, own = np.full(len(gradient), np.nan, np.float32), gradient.copy()
            for acc, source in ((separate, gradient), (own, own)):
                payload = compressor.compensate(source, residual, acc, at)
                require(same_bits(acc, kept), compressor, f"{what}: acc is not residual + gradient")
                require(
                    same_payload(payload, expected),
                    compressor,
                    f"{what}, floor {floor}: compensate and compress differ",
                )
        require(same_bits(residual, residual_before), compressor, f"{what}: residual changed")


def check_conservation(compressor: Compressor) -> None:
    """What was sent and what stays are what there was, at every step (error feedback)."""
    if not compressor.traits.needs_residual:
        return
    for what, gradient in inputs():
        residual = np.zeros_like(gradient)
        for step in range(8):
            at, acc = context(step), np.empty_like(gradient)
            payload = compressor.compensate(gradient, residual, acc, at)
            total, sent = residual + gradient, restored(compressor, payload, len(acc), at)
            _settle(compressor, acc, payload, payload.indices, at)
            _require_conserved(compressor, f"{what}, step {step}", total, sent, acc)
            residual = acc


def check_partial_delivery(compressor: Compressor) -> None:
    """An entry that was sent and did not win stays as it is; of a delivered one, the rest."""
    if not (compressor.traits.needs_residual and compressor.traits.sparse):
        return
    for what, values in inputs():
        at, acc = context(1000), values.copy()
        payload = compressor.compress(values, at)
        if len(payload.dense):
            continue
        for delivered in (payload.indices[:0], payload.indices[::2], payload.indices):
            acc[:] = values
            sent = np.zeros_like(values)
            sent[delivered] = restored(compressor, payload, len(values), at)[delivered]
            _settle(compressor, acc, payload, np.ascontiguousarray(delivered), at)
            where = f"{what}, {len(delivered)} of {len(payload.indices)} entries delivered"
            kept = np.ones(len(values), np.bool_)
            kept[delivered] = False
            require(same_bits(acc[kept], values[kept]), compressor, f"{where}: others changed")
            _require_conserved(compressor, where, values, sent, acc)


def _compensated(total: Float32, payload: Payload) -> Float32:
    """Return what compensate leaves in acc: the sum, or the error of dense values in a format."""
    if not len(payload.dense) or payload.dense.format.exact:
        return total
    with np.errstate(invalid="ignore"):  # infinity without infinity
        error: Float32 = total - payload.dense.decode()
    return error


def _settle(
    compressor: Compressor, acc: Float32, payload: Payload, delivered: Indices, at: Context
) -> None:
    """Do what a step does with an accumulator when all sums went through unchanged."""
    compressor.settle(acc, payload, delivered, at)
    rounded_off = payload.values - payload.received().values
    own = np.isin(payload.indices, delivered)
    kernels.scatter_add(acc, payload.indices[own], rounded_off[own])


CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_identity,
        check_payload_is_valid,
        check_input_is_only_read,
        check_determinism,
        check_decompress_writes_everything,
        check_wire,
        check_global_random_state,
        check_nonfinite_is_reported,
        check_compensate,
        check_conservation,
        check_partial_delivery,
        *claims.CHECKS,
    )
}


def _require_conserved(
    compressor: Compressor, where: str, total: Float32, sent: Float32, kept: Float32
) -> None:
    """Exact where an element was sent unchanged or not at all, else within 2 ulp."""
    selected = (sent == 0) | (sent == total)
    error = np.abs(sent.astype(np.float64) + kept - total)
    allowed = np.where(selected, 0.0, 2 * np.spacing(np.maximum(np.abs(sent), np.abs(total))))
    require(bool(np.all(error <= allowed)), compressor, f"{where}: sent + kept is not acc")


def _copied(payload: Payload) -> Payload:
    return replace(
        payload,
        indices=payload.indices.copy(),
        values=payload.values.copy(),
        dense=replace(payload.dense, data=payload.dense.data.copy()),
    )


def _wire_bytes(payload: Payload) -> int:
    """Return what ``docs/wire-format.md`` says that a payload takes at most."""
    count = len(payload.indices)
    values = payload.value_format.nbytes(count)
    return HEADER_BYTES + 4 * count + values + payload.dense.nbytes


def _random_states() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()
    torch = sys.modules.get("torch")
    drawn = bytes(torch.get_rng_state().numpy()) if torch else b""
    return random.getstate(), name, bytes(np.asarray(keys)), rest, drawn
