"""Trains a head of one's own on compressed files: the classes of CamVid's pixels, from latents alone.

    foveal encode CAMVID/train out/train --quality 20
    foveal encode CAMVID/val out/val --quality 20
    python examples/train_latent_head.py out/train CAMVID/train_labels out/val CAMVID/val_labels --minutes 10

The labels are PNG files of the pictures' names, one class a pixel, 11 for none. No picture is decoded at any time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.latent import LatentFolder, Latents, batch_of, begun_trunk

_CLASSES, _VOID = 11, 11
_BATCH = 8


class Head(nn.Module):
    """Logits at a quarter of the padded picture, of any number of bands. The trunk knows what latents mean; the rest is one's own."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.trunk = begun_trunk("frequency-2", spectrum=96)
        self.body = nn.Sequential(
            nn.Conv2d(96, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), _Around(width), _Around(width, 2)
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            _Around(2 * width), _Around(2 * width, 2), _Around(2 * width, 4), nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2),
        )  # fmt: skip
        self.leave = nn.Sequential(nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(width, 4 * _CLASSES, 1), nn.PixelShuffle(2))

    def forward(self, bands: list[Tensor], quality: Tensor) -> Tensor:
        x = self.body(self.trunk(bands, quality))
        return self.leave(x + self.coarse(x))


class _Around(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.inside(x))


def labels_of(folder: Path, names: tuple[str, ...]) -> Tensor:
    """Classes int64 ``(pictures, height, width)`` at a quarter of the size."""
    quarter = [np.asarray(Image.open(folder / f"{name}.png"))[2::4, 2::4] for name in names]
    return torch.from_numpy(np.stack(quarter)).long()


def fits(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits without the padding."""
    return logits[:, :, : labels.shape[1], : labels.shape[2]]


@torch.no_grad()
def mean_iou(head: Head, files: list[Latents], labels: Tensor) -> float:
    """Mean intersection over union in percent, at a quarter of the size."""
    head.eval()
    counts = torch.zeros(_CLASSES, _CLASSES)
    for file, truth in zip(files, labels, strict=True):
        found = fits(head(*batch_of([file])), truth[None])[0].argmax(0)
        known = truth != _VOID
        counts += torch.bincount(truth[known] * _CLASSES + found[known], minlength=_CLASSES**2).reshape(_CLASSES, _CLASSES)
    right = counts.diag()
    return float(100 * (right / (counts.sum(0) + counts.sum(1) - right)).nanmean())


def main() -> None:
    """Reads the files once, trains for some minutes, and says how good the head is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "train_labels", "val", "val_labels"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    torch.manual_seed(0)
    start = time.monotonic()
    train, val = (LatentFolder(folder) for folder in (options.train, options.val))
    files, held_out = ([folder[i] for i in range(len(folder))] for folder in (train, val))
    labels, held_labels = labels_of(options.train_labels, train.names), labels_of(options.val_labels, val.names)
    print(f"{len(files) + len(held_out)} files read in {time.monotonic() - start:.0f} s")
    head = Head()
    head.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    known = list(head.trunk.parameters())  # of a trained codec: they learn slower
    new = [*head.body.parameters(), *head.coarse.parameters(), *head.leave.parameters()]
    optimiser = torch.optim.AdamW([{"params": new, "full": 3e-3}, {"params": known, "full": 1e-3}], lr=3e-3, weight_decay=0.05)
    begun, epoch, part = time.monotonic(), 0, 0.0
    while part < 1:
        head.train()
        order = np.random.default_rng(epoch).permutation(len(files)).tolist()
        for at in range(0, len(order), _BATCH):
            some = order[at : at + _BATCH]
            part = min(1.0, (time.monotonic() - begun) / 60 / options.minutes)
            for group in optimiser.param_groups:
                group["lr"] = group["full"] * (1 - part) + 1e-6
            logits = fits(head(*batch_of([files[i] for i in some])), labels[some])
            loss = functional.cross_entropy(logits, labels[some], ignore_index=_VOID)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        epoch += 1
        if epoch % 10 == 0 or part >= 1:
            print(
                f"epoch {epoch}, {(time.monotonic() - start) / 60:.1f} min: {mean_iou(head, held_out, held_labels):.1f} % mIoU on {len(held_out)} files"
            )


if __name__ == "__main__":
    main()
