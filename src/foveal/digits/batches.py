"""Many digits to their files and back: the codec's steps with networks that see a thousand digits at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from foveal.codecs.learned.runtime import inference
from foveal.digits.codec import DigitNetworks
from foveal.digits.coding import Symbols
from foveal.digits.data import Pixels
from foveal.digits.model import STEP_ERROR_BITS
from foveal.digits.training import parts

_CHUNK: Final = 1000


def encoded_digits(networks: DigitNetworks, images: Pixels) -> tuple[list[bytes], npt.NDArray[np.float64], Symbols]:
    """The files of digits ``(n, 28, 28)``, the bits ``(n,)`` that their tables say, and their clusters ``(n,)``."""
    files: list[bytes] = []
    bits: list[npt.NDArray[np.float64]] = []
    clusters: list[Symbols] = []
    for x in parts(images):
        with inference():
            near, steps = networks.model.near(x)
        cluster, symbols, taken = networks.tables.choose(near.numpy(), steps.double().numpy(), STEP_ERROR_BITS)
        files += [networks.tables.file(int(one), row) for one, row in zip(cluster, symbols, strict=True)]
        bits.append(taken)
        clusters.append(cluster)
    return files, np.concatenate(bits), np.concatenate(clusters)


def decoded_digits(networks: DigitNetworks, files: Sequence[bytes]) -> Pixels:
    """The pictures uint8 ``(n, 28, 28)`` of files. Raises as ``DigitTables.read``."""
    pictures: list[Pixels] = []
    for start in range(0, len(files), _CHUNK):
        read = [networks.tables.read(data) for data in files[start : start + _CHUNK]]
        with inference():
            cluster = torch.tensor([cluster for cluster, _ in read])
            made = networks.model.pictures(cluster, torch.from_numpy(np.stack([symbols for _, symbols in read])).float())
        pictures.append(made[:, 0].numpy())
    return np.concatenate(pictures)
