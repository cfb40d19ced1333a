"""The proxy as it comes with foveal, and how it reads a picture."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.weights import load_weights
from foveal.errors import NetworkError, UnknownWeightsError
from foveal.picture import Picture
from foveal.tasks.builtin import network_card
from foveal.tasks.proxy.network import STRIDES, Proxy, ProxyConfig, load_frozen

READING_SIDE: Final = 320
"""Pixels of the longer side at which the proxy reads a picture; smaller ones are read as they are."""


def as_read(picture: Picture) -> Tensor:
    """The picture as the proxy reads it: ``(1, 3, height, width)`` in 0..1, channels_last."""
    scale = READING_SIDE / max(picture.width, picture.height)
    image = Image.fromarray(picture.rgb())
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    return x.contiguous(memory_format=torch.channels_last)


def foreseen(proxy: Proxy, read: Tensor, size: tuple[int, int]) -> Tensor:
    """The logarithm of what an error harms each task in each place of pictures ``read`` ``(n, 3, rows, columns)``, less its mean over the
    picture: ``(n, tasks, *size)``.
    """
    rows, columns = read.shape[2:]
    harm = functional.interpolate(proxy.harm(read), scale_factor=float(STRIDES[0]), mode="bilinear", align_corners=False)
    harm = harm[:, :, :rows, :columns]
    harm = harm - harm.mean((2, 3), keepdim=True)
    return functional.interpolate(harm, size, mode="bilinear", align_corners=False)


@functools.cache
def shipped_proxy(weights: str | None = None) -> Proxy:
    """The proxy, frozen: float32, channels_last. weights: their name; None for those that guide codecs.

    Raises:
        NetworkError: the weights are damaged or missing.
    """
    card = network_card("proxy", weights)
    try:
        with torch.inference_mode(False):  # else its weights could serve no gradient
            return load_frozen(load_weights(card), ProxyConfig(**card.config))  # type: ignore[arg-type]
    except (KeyError, RuntimeError, TypeError, UnknownWeightsError) as error:
        raise NetworkError(f"the proxy that guides codecs: {error}") from error
