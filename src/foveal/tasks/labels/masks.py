"""Class maps in PNG: the value of a pixel is its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import FormatError, InputError, LabelError, UnsupportedError
from foveal.limits import Limits
from foveal.media.image_io import open_image
from foveal.tasks.labels.labelled_set import LabelledSet, LaterTruth
from foveal.tasks.labels.matching import labelled_set
from foveal.tasks.labels.names import class_names, names_beside
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import list_files
from foveal.tasks.results import VOID, ClassMap

USUAL_VOID: Final = 255
VOID_NAMES: Final = frozenset({"void", "unlabeled", "unlabelled", "ignore", "ignored"})
_MODES: Final = ("1", "L", "P", "I", "I;16")


@final
@dataclass(frozen=True)
class MaskFile(LaterTruth):
    """A class map in a file. classes: how many there are. void: the values that count nowhere."""

    path: Path
    classes: int
    void: tuple[int, ...]
    limits: Limits

    def read(self) -> ClassMap:
        values = _values(self.path, self.limits)
        void = np.isin(values, self.void)
        outside = values[~void & ((values < 0) | (values >= self.classes))]
        if outside.size:
            raise LabelError(
                f"{self.path}: the value {outside[0]}; 0..{self.classes - 1} are classes and {', '.join(map(str, self.void))} is void; say another with @void=NUMBER"
            )
        return ClassMap(np.where(void, VOID, values).astype(np.int16))


def read_masks(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """Files ending in ``.png``, by the names of the pictures; gray or with a palette, whose colours do not count.

    Void are the value ``void=`` (255 if it is not said) and classes that are called void, unlabeled or ignore.

    Raises:
        LabelError: no names, or no masks. A mask itself is read later.
    """
    names = class_names(spelled.names, limits) if spelled.names else names_beside(spelled.path, limits)
    if names is None:
        raise LabelError(f"{spelled.label}: no class names beside it; say @names=FILE, or a vocabulary such as @names=camvid-11")
    named_void = [index for index, name in enumerate(names.names) if name.casefold() in VOID_NAMES]
    void = (*named_void, USUAL_VOID if spelled.void is None else spelled.void)
    labels = {
        path.relative_to(spelled.path).as_posix(): MaskFile(path, len(names.names), void, limits)
        for path in list_files(spelled.path, ".png")
    }
    return labelled_set(spelled.label, "segment", names.vocabulary, labels, pictures, leave_out=leave_out)


def _values(path: Path, limits: Limits) -> NDArray[np.int64]:
    try:
        limits.check_payload(path.stat().st_size)
        image = open_image(path.read_bytes(), limits, ("PNG",)).image
        if image.mode not in _MODES:
            raise LabelError(f"{path} is in colour ({image.mode}); a mask of class indices is gray or has a palette")
        values: NDArray[Any] = np.asarray(image)
    except (OSError, SyntaxError, ValueError, FormatError, InputError, UnsupportedError) as error:
        raise LabelError(f"cannot read the mask {path}: {error}") from error
    return values.astype(np.int64)
