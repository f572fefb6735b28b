"""Codes packed in bit planes and in base 3, hostile bytes included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import SIZES, assert_same_bits, quick

from gradwire import kernels
from gradwire.errors import ConfigError, WireError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

sizes = st.sampled_from((*SIZES, 63, 64, 65, 511, 512, 513, 575, 4094, 4096)) | st.integers(0, 700)
widths = st.integers(1, 8)
seeds = st.integers(0, 2**32 - 1)
offsets = st.integers(0, 3)


def random_codes(n: int, values: int, seed: int, offset: int = 0) -> np.ndarray:
    out = np.empty(n + offset, np.uint8)[offset:]
    out[:] = np.random.default_rng(seed).integers(0, values, n)
    return out


def guarded(size: int, offset: int = 0) -> np.ndarray:
    """Return memory for `size` bytes between guards; see `unharmed`."""
    return np.full(size + 128 + offset, 0xA5, np.uint8)


def unharmed(memory: np.ndarray, size: int, offset: int = 0) -> bool:
    return bool(
        (memory[: 64 + offset] == 0xA5).all() and (memory[64 + offset + size :] == 0xA5).all()
    )


@quick
@given(sizes, widths, seeds, offsets)
def test_bits_round_trip_and_equal_specification(n, bits, seed, offset):
    codes = random_codes(n, 2**bits, seed, offset)
    size = kernels.packed_size(n, bits)
    assert size == reference.packed_size(n, bits) == bits * -(-n // 8)
    memory = guarded(size, offset)
    data = kernels.pack_bits(codes, bits, memory[64 + offset : 64 + offset + size])
    assert_same_bits(data, reference.pack_bits(codes, bits))
    assert unharmed(memory, size, offset)
    memory = guarded(n, offset)
    back = kernels.unpack_bits(data, n, bits, memory[64 + offset : 64 + offset + n])
    assert_same_bits(back, codes)
    assert unharmed(memory, n, offset)
    assert_same_bits(reference.unpack_bits(data, n, bits), codes)
    assert_same_bits(kernels.unpack_bits(data.tobytes(), n, bits), codes)


@quick
@given(sizes, seeds, offsets)
def test_trits_round_trip_and_equal_specification(n, seed, offset):
    codes = random_codes(n, 3, seed, offset)
    size = kernels.base3_size(n)
    assert size == reference.base3_size(n) == -(-n // 5)
    memory = guarded(size, offset)
    data = kernels.pack_base3(codes, memory[64 + offset : 64 + offset + size])
    assert_same_bits(data, reference.pack_base3(codes))
    assert unharmed(memory, size, offset)
    memory = guarded(n, offset)
    back = kernels.unpack_base3(data, n, memory[64 + offset : 64 + offset + n])
    assert_same_bits(back, codes)
    assert unharmed(memory, n, offset)
    assert_same_bits(reference.unpack_base3(data, n), codes)
    assert_same_bits(kernels.unpack_base3(data.tobytes(), n), codes)


def test_wire_bytes_are_these():
    codes = np.array([1, 2, 3, 4, 5, 6, 7, 0, 5], np.uint8)
    # Three planes of two bytes, the second byte for the ninth code.
    assert kernels.pack_bits(codes, 3).tobytes().hex() == "550166007801"
    assert kernels.pack_bits(codes[:0], 3).tobytes() == b""
    # A second chunk begins after 512 codes.
    long = np.zeros(514, np.uint8)
    long[[0, 511, 513]] = 3, 2, 1
    packed = kernels.pack_bits(long, 2).tobytes()
    assert packed.hex() == "01" + "00" * 63 + "01" + "00" * 62 + "80" + "0200"
    assert (
        kernels.pack_base3(np.array([2, 2, 2, 2, 2, 1, 0, 2], np.uint8)).tobytes().hex() == "f263"
    )
    assert kernels.pack_base3(codes[:0]).tobytes() == b""


def test_every_byte_of_trits():
    data = np.arange(243, dtype=np.uint8)
    codes = kernels.unpack_base3(data, 5 * 243)
    assert_same_bits(kernels.pack_base3(codes), data)
    for byte in range(243, 256):
        with pytest.raises(WireError, match="codes must be below"):
            kernels.unpack_base3(bytes([0, byte, 0, 0]), 20)
        with pytest.raises(WireError, match="codes must be below"):
            kernels.unpack_base3(bytes([byte]), 1)


@quick
@given(st.integers(1, 1100), st.data())
def test_codes_that_do_not_fit_are_refused(n, more):
    bits, place = more.draw(st.integers(1, 7)), more.draw(st.integers(0, n - 1))
    codes = random_codes(n, 2, n)
    codes[place] = more.draw(st.integers(2**bits, 255))
    with pytest.raises(ConfigError, match="pack_bits: codes must be below"):
        kernels.pack_bits(codes, bits)
    codes[place] = more.draw(st.integers(3, 255))
    with pytest.raises(ConfigError, match="pack_base3: codes must be below"):
        kernels.pack_base3(codes)


@quick
@given(st.integers(0, 600), widths, st.binary(max_size=80), seeds)
def test_any_bytes_are_codes_or_refused(n, bits, noise, seed):
    size = kernels.packed_size(n, bits)
    data = random_codes(size, 256, seed)
    memory = guarded(n)
    try:
        codes = kernels.unpack_bits(data, n, bits, memory[64 : 64 + n])
    except WireError as error:
        assert n % 8 and "must be zero" in str(error)
    else:
        assert_same_bits(kernels.pack_bits(codes, bits), data)
    assert unharmed(memory, n)
    for data in (noise, bytes(random_codes(kernels.base3_size(n), 256, seed))):
        try:
            codes = kernels.unpack_base3(data, n)
        except WireError:
            continue
        assert kernels.pack_base3(codes).tobytes() == data


@pytest.mark.parametrize("bits", range(1, 9))
def test_padding_must_be_zero(bits):
    for n in (1, 7, 65, 513, 575):
        clean = kernels.pack_bits(np.zeros(n, np.uint8), bits)
        plane = -(-(n % 512) // 8)
        for j in range(bits):
            data = clean.copy()
            data[data.size - 1 - j * plane] |= 0x80
            with pytest.raises(WireError, match="behind the last element must be zero"):
                kernels.unpack_bits(data, n, bits)


def test_padding_trits_must_be_zero():
    for n in (1, 4, 6, 13, 17):
        data = kernels.pack_base3(np.full(n, 2, np.uint8))
        data[-1] += 1
        with pytest.raises(WireError, match="behind the last element must be zero"):
            kernels.unpack_base3(data, n)


@pytest.mark.parametrize("place", [0, 511, 512, 4095, 4096, 20_479, 20_480, 69_999, 70_000])
@pytest.mark.parametrize("offset", [0, 1])
def test_one_wrong_code_of_many_is_noticed(place, offset):
    codes = random_codes(70_001, 3, place, offset)
    for bits in (2, 7):
        codes[place] = 2**bits
        with pytest.raises(ConfigError, match="pack_bits: codes must be below"):
            kernels.pack_bits(codes, bits)
    with pytest.raises(ConfigError, match="pack_base3: codes must be below"):
        kernels.pack_base3(codes)
    codes[place] = 2
    packed = kernels.pack_base3(codes)
    packed[place // 5] = 243
    with pytest.raises(WireError, match="codes must be below"):
        kernels.unpack_base3(packed, codes.size)


def test_a_byte_that_is_too_large_says_more_than_padding():
    data = kernels.pack_base3(np.full(70_001, 2, np.uint8))
    data[-1] += 1
    with pytest.raises(WireError, match="must be zero"):
        kernels.unpack_base3(data, 70_001)
    for place in (0, 7_000, -1):
        worse = data.copy()
        worse[place] = 255
        with pytest.raises(WireError, match="codes must be below"):
            kernels.unpack_base3(worse, 70_001)


def test_wrong_lengths_and_arguments_are_refused():
    data, out = np.zeros(6, np.uint8), np.zeros(100, np.uint8)
    for given_out in (None, out):
        with pytest.raises(WireError, match="unpack_bits: 24 codes take 9 bytes, got 6"):
            kernels.unpack_bits(data, 24, 3, given_out)
        with pytest.raises(WireError, match="unpack_base3: 24 codes take 5 bytes, got 6"):
            kernels.unpack_base3(data, 24, given_out)
    with pytest.raises(WireError, match="4294967295 codes take"):
        kernels.unpack_bits(b"\0", 2**32 - 1, 8)
    for bits in (0, 9, 1.5):
        with pytest.raises(ConfigError, match="bits must be"):
            kernels.pack_bits(data, bits)
        with pytest.raises(ConfigError, match="bits must be"):
            kernels.unpack_bits(data, 6, bits)
    with pytest.raises(ConfigError, match="codes must have dtype uint8, got int8"):
        kernels.pack_bits(data.view(np.int8), 2)
    with pytest.raises(ConfigError, match="overlap"):
        kernels.pack_bits(out, 2, out[50:])
    with pytest.raises(ConfigError, match="overlap"):
        kernels.unpack_base3(out[:6], 30, out[5:])
    with pytest.raises(ConfigError, match="out must have at least 2"):
        kernels.pack_base3(data, out[:1])


def test_torch_tensors_are_packed_too():
    torch = pytest.importorskip("torch")
    codes = torch.tensor([0, 1, 2, 2, 1, 0], dtype=torch.uint8)
    data = kernels.pack_bits(codes, 2)
    assert isinstance(data, torch.Tensor)
    assert kernels.unpack_bits(data, 6, 2).tolist() == codes.tolist()
    assert kernels.unpack_base3(kernels.pack_base3(codes), 6).tolist() == codes.tolist()
