"""A damaged .fvl file gives one of foveal's own errors, in bounded time and memory, and never a picture."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foveal
from foveal.container.format import SIGNATURE
from foveal.errors import FovealError
from foveal.picture import Picture


@pytest.fixture(scope="module", params=["frequency", "cae-pca", "rnn-2017"])
def small(request: pytest.FixtureRequest) -> bytes:
    """A file with every kind of chunk that version 1 writes: of bands and short sums, and of one band with a parameter of its codec."""
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    alpha = random.integers(0, 256, (20, 24)).astype(np.uint8)
    picture = Picture(samples, alpha, b"an ICC profile", b"an Exif block")
    return foveal.encode(picture, codec=request.param, quality=5)


def _must_fail(data: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(FovealError):
        foveal.decode(data)
    with suppress(FovealError):
        assert foveal.info(data).missing_units > 0, "a damaged file is described as if it were whole"
    assert time.monotonic() - start < 5


def test_truncation_at_every_byte(small: bytes) -> None:
    for size in range(len(small)):
        _must_fail(small[:size])


def test_every_byte_zeroed_set_and_flipped(small: bytes) -> None:
    for at in range(len(small)):
        for value in {0, 255, small[at] ^ 255} - {small[at]}:
            _must_fail(small[:at] + bytes([value]) + small[at + 1 :])


def test_size_fields_of_two_to_the_31_take_no_memory(small: bytes) -> None:
    huge = (1 << 31).to_bytes(5, "little")
    leb = b"\x80\x80\x80\x80\x08"
    tracemalloc.start()
    for at in range(5, len(small) - 5):
        for field in (huge, leb):
            _must_fail(small[:at] + field + small[at + 5 :])
            _must_fail(small[:at] + field + small[at:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    _must_fail(SIGNATURE + b"\x01" + data)


def test_an_empty_file_and_foreign_bytes(small: bytes) -> None:
    for data in (b"", b"\0", SIGNATURE, small[::-1], b"hello world, this is not a picture", small + small):
        _must_fail(data)
