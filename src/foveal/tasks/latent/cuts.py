"""Where third-party networks are cut: the tensors that a head makes from latents, so that the rest of the network runs from the file.

The networks themselves are the user's; what is known of them here is a hash, names and sizes. A cut is never renumbered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from foveal.errors import NetworkError


@dataclass(frozen=True)
class CutTensor:
    """A tensor ``(1, channels, rows, columns)`` inside a network; a place in it stands for ``stride`` pixels a side of the network's input."""

    name: str
    channels: int
    rows: int
    columns: int
    stride: int


@dataclass(frozen=True)
class Cut:
    """One way to cut a network in two.

    network: the name of its head, of its file without suffix and of its record. sha256: of the file. tensors: what passes, in the order in
    which the tail reads it. tail_percent: of the network's multiplications that are left to the tail. way: a tensor of first filters, by way of
    which the others are made: the network's own layers lead from it to them, and what they give is corrected there.
    """

    network: str
    sha256: str
    tensors: tuple[CutTensor, ...]
    tail_percent: float
    way: CutTensor | None = None

    @property
    def made(self) -> tuple[CutTensor, ...]:
        """What a head makes of features alone."""
        return self.tensors if self.way is None else (self.way,)


_MOBILENET: Final = "mobilenet_v2_imagenet", "a71ecace456ae870b7aa7dde06109882b7313a0579a51f96bf962014b2b11106"
_YOLOX: Final = "yolox_nano_coco", "e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd"
_MOBILENET_STEM: Final = CutTensor("/n/Conv_output_0", 32, 112, 112, 2)
_YOLOX_STEM: Final = CutTensor("onnx::Sigmoid_1177", 16, 208, 208, 2)
_YOLOX_PYRAMID: Final = (
    CutTensor("input.175", 64, 52, 52, 8),
    CutTensor("input.283", 128, 26, 26, 16),
    CutTensor("input.367", 128, 13, 13, 32),
)

CUTS: Final[Mapping[str, tuple[Cut, ...]]] = {
    "mobilenet_v2_imagenet": (
        Cut(*_MOBILENET, (CutTensor("/n/Add_70_output_0", 32, 28, 28, 8),), 62.3),  # the last bottleneck at 1/8
        Cut(*_MOBILENET, (CutTensor("/n/Add_32_output_0", 24, 56, 56, 4),), 74.8),  # the last bottleneck at 1/4
        Cut(*_MOBILENET, (CutTensor("/n/Add_121_output_0", 64, 14, 14, 16),), 49.5),  # the last of 64 channels
        Cut(*_MOBILENET, (CutTensor("/n/Add_159_output_0", 96, 14, 14, 16),), 30.2),  # the last at 1/16
        Cut(*_MOBILENET, (CutTensor("/n/Conv_50_output_0", 320, 7, 7, 32),), 7.1),  # the last of all
        Cut(*_MOBILENET, (_MOBILENET_STEM,), 96.4),  # the first convolution, a linear map of the picture
        Cut(*_MOBILENET, (CutTensor("/n/Add_121_output_0", 64, 14, 14, 16),), 49.5, _MOBILENET_STEM),  # the third, by way of it
    ),
    "yolox_nano_coco": (
        Cut(*_YOLOX, (CutTensor("input.175", 64, 52, 52, 8),), 69.7),  # the last of 1/8 in the backbone, and all that is left
        Cut(*_YOLOX, _YOLOX_PYRAMID, 48.1),  # what the pyramid reads
        Cut(  # what the three heads read
            *_YOLOX,
            (
                CutTensor("input.599", 64, 52, 52, 8),
                CutTensor("input.671", 64, 26, 26, 16),
                CutTensor("input.743", 64, 13, 13, 32),
            ),
            16.4,
        ),
        Cut(*_YOLOX, (_YOLOX_STEM,), 85.7),  # the first convolution, a linear map of the picture
        Cut(*_YOLOX, _YOLOX_PYRAMID, 48.1, _YOLOX_STEM),  # the second, by way of it
    ),
}
"""The cuts of each network that is known, counted from 1."""


def cut_of(network: str, number: int) -> Cut:
    """A network's cut.

    Raises:
        NetworkError: there is none of that number.
    """
    cuts = CUTS[network]
    if not 1 <= number <= len(cuts):
        raise NetworkError(f"{network} = {number}; it has the cuts 1 to {len(cuts)}, and 0 stands for no head")
    return cuts[number - 1]
