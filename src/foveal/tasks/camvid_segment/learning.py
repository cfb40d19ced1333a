"""What the segmenter minimises, and how far it is."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from foveal.tasks.camvid_segment.network import Segmenter, full_size
from foveal.tasks.camvid_segment.scenes import VOID_LABEL, Scene

SHARES: Final = (0.1754, 0.2421, 0.0102, 0.3296, 0.0467, 0.1012, 0.0122, 0.0117, 0.0611, 0.0067, 0.0030)
"""What part of the labelled pixels of CamVid's train part is of each class."""
_SOFTENING = 1.10
_OVERLAP = 0.5


def class_weights() -> Tensor:
    """``1 / log(1.1 + share)`` of each class, the mean over pixels 1: rare classes count more (ENet's weighting)."""
    share = np.array(SHARES) / sum(SHARES)
    weights = 1 / np.log(_SOFTENING + share)
    return torch.from_numpy(weights / (weights * share).sum()).float()


def segment_loss(logits: Tensor, classes: Tensor, weights: Tensor, step: int) -> Tensor:
    """Weighted cross-entropy, and a half of ``1 - Dice`` over the classes of the batch.

    logits: ``(batch, classes, rows / 2, columns / 2)``; classes: uint8 ``(batch, rows, columns)``, void counting nowhere. One pixel of
    each 2x2 is looked at, another in each step: so the loss costs a quarter, and learns the same.
    """
    wanted = classes[:, step % 2 :: 2, step // 2 % 2 :: 2].long()
    known = wanted != VOID_LABEL
    there = wanted[known]
    if not len(there):
        return 0 * logits.sum()
    logs = logits.float().log_softmax(1)
    entropy = functional.nll_loss(logs, wanted, weights, ignore_index=VOID_LABEL)
    shares = logs.exp()
    right = shares.gather(1, (wanted * known)[:, None])[:, 0][known]
    both = torch.zeros_like(weights).index_add(0, there, right)
    pixels = torch.bincount(there, minlength=len(weights))
    taken = torch.einsum("bchw,bhw->c", shares, known.float())
    overlap = (2 * both / (taken + pixels))[pixels > 0].mean()
    return entropy + _OVERLAP * (1 - overlap)


@torch.no_grad()
def confusion(model: Segmenter, scenes: list[Scene], device: torch.device) -> npt.NDArray[np.int64]:
    """How many pixels of each class (rows) are taken for each class (columns)."""
    n = model.config.classes
    counts = np.zeros((n, n), np.int64)
    for scene in scenes:
        x = torch.from_numpy(scene.picture.copy()).to(device).permute(2, 0, 1)[None].float() / 255
        found = full_size(model(x.contiguous(memory_format=torch.channels_last)), *scene.classes.shape).argmax(1)[0].cpu().numpy()
        known = scene.classes != VOID_LABEL
        counts += np.bincount(scene.classes[known].astype(np.int64) * n + found[known], minlength=n * n).reshape(n, n)
    return counts


def overlaps(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Intersection over union of each class, in percent; NaN for one that is neither there nor found."""
    right = np.diag(counts)
    with np.errstate(invalid="ignore"):
        return 100 * right / (counts.sum(0) + counts.sum(1) - right)
