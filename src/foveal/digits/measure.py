"""What a codec does to the test digits: every one coded to its file by ``Codec.encode`` and decoded from it again."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import numpy.typing as npt

from foveal.digits.data import Digits
from foveal.digits.plan import Folder, Point
from foveal.media.output import write_whole
from foveal.picture import Picture

if TYPE_CHECKING:
    from torch import nn

    from foveal.digits.codec import DigitCodec

Numbers = npt.NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class PerDigit:
    """One number for each test digit, float32 ``(n,)``.

    file_bits: 8 for each byte of its file. ideal_bits: what its tables say that its symbols take. mse: mean squared error,
    samples in 0..255. frozen, held_out: 1 where the classifier errs on what came back. frozen_bits, held_out_bits: the
    classifier's cross entropy of the label.
    """

    file_bits: Numbers
    ideal_bits: Numbers
    mse: Numbers
    frozen: Numbers
    held_out: Numbers
    frozen_bits: Numbers
    held_out_bits: Numbers


@final
@dataclass(frozen=True)
class Row:
    """What was measured of one point: means over the test digits.

    rate_bits: of the files. mse: samples in 0..255. Errors in percent, surprises (cross entropies) in bits. longest_bytes: of the
    longest file. clusters: how many of them one file or more in 1000 names. checked: how many digits also went through the codec
    one by one; differ: those whose file is another, or whose picture differs by more than 1. weights: the id of the frozen codec.
    """

    distortion_weight: float
    classification_weight: float
    seed: int
    rate_bits: float
    ideal_bits: float
    mse: float
    frozen_percent: float
    held_out_percent: float
    frozen_surprise_bits: float
    held_out_surprise_bits: float
    longest_bytes: int
    clusters: int
    checked: int
    differ: int
    weights: str
    train_s: float
    measure_s: float

    @property
    def point(self) -> Point:
        """Which one it is."""
        return Point(self.distortion_weight, self.classification_weight, self.seed)


_CHECKED_EVERY: Final = 20
ROW_FIELDS: Final = tuple(field.name for field in fields(Row))


@final
@dataclass(frozen=True, eq=False)
class Measured:
    """A finished point."""

    row: Row
    digits: PerDigit


@final
@dataclass(frozen=True, eq=False)
class Trip:
    """All test digits to their files and back. longest_bytes, clusters, checked, differ as in ``Row``."""

    digits: PerDigit
    longest_bytes: int
    clusters: int
    checked: int
    differ: int


def measure(codec: DigitCodec, digits: Digits, frozen: nn.Module, held_out: nn.Module) -> Trip:
    """Writes the file of every test digit, and decodes it from its bytes; the networks see many digits at once, as ``Codec`` does not.

    Every twentieth also goes through the codec alone, since floats may differ between the two.
    """
    from foveal.digits.batches import decoded_digits, encoded_digits
    from foveal.digits.training import surprise_and_errors

    files, bits, clusters = encoded_digits(codec.networks, digits.test_images)
    back = decoded_digits(codec.networks, files)
    differ = 0
    for number in range(0, len(files), _CHECKED_EVERY):
        own = codec.encode(Picture(digits.test_images[number][:, :, None]))
        apart = np.abs(codec.decode(own).samples[:, :, 0].astype(int) - back[number]).max()
        differ += own != files[number] or apart > 1
    sizes = np.array([len(data) for data in files])
    mse = np.square(back.astype(np.float32) - digits.test_images).mean((1, 2))
    frozen_bits, frozen_errs = surprise_and_errors(frozen, back, digits.test_labels)
    held_out_bits, held_out_errs = surprise_and_errors(held_out, back, digits.test_labels)
    columns = (8 * sizes, bits, mse, frozen_errs, held_out_errs, frozen_bits, held_out_bits)
    return Trip(
        PerDigit(*(np.asarray(column, np.float32) for column in columns)),
        longest_bytes=int(sizes.max()),
        clusters=int((np.bincount(clusters) >= max(1, len(sizes) // 1000)).sum()),
        checked=-(-len(files) // _CHECKED_EVERY),
        differ=int(differ),
    )


def row_of(point: Point, digits: PerDigit, **told: Any) -> Row:
    """The means; ``told`` is the rest of a row."""
    mean = {name: float(getattr(digits, name).mean(dtype=np.float64)) for name in ("file_bits", "ideal_bits", "mse")}
    return Row(
        **asdict(point),
        rate_bits=mean["file_bits"],
        ideal_bits=mean["ideal_bits"],
        mse=mean["mse"],
        frozen_percent=100 * float(digits.frozen.mean(dtype=np.float64)),
        held_out_percent=100 * float(digits.held_out.mean(dtype=np.float64)),
        frozen_surprise_bits=float(digits.frozen_bits.mean(dtype=np.float64)),
        held_out_surprise_bits=float(digits.held_out_bits.mean(dtype=np.float64)),
        **told,
    )


def save_measured(folder: Folder, measured: Measured) -> None:
    """Writes what each digit gave and then the row. Raises InputError: a file cannot be written."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **asdict(measured.digits))
    point = measured.row.point
    write_whole(folder.digits(point), packed.getvalue())
    write_whole(folder.row(point), json.dumps(asdict(measured.row)).encode())


def load_measured(folder: Folder, point: Point) -> Measured | None:
    """A finished point, or None if it is not finished, or a file of it is damaged."""
    try:
        row = Row(**json.loads(folder.row(point).read_text()))
        with np.load(folder.digits(point), allow_pickle=False) as held:
            digits = PerDigit(**{field.name: held[field.name] for field in fields(PerDigit)})
    except Exception:  # zip, numpy and json each have errors of their own; whatever it is, the point is measured again
        return None
    return Measured(row, digits) if row.point == point and folder.weights(point).is_file() else None


def write_table(path: Path, rows: list[Row]) -> None:
    """All rows as CSV. Raises InputError: it cannot be written."""
    lines = [",".join(ROW_FIELDS), *(",".join(str(value) for value in asdict(row).values()) for row in rows)]
    write_whole(path, ("\n".join(lines) + "\n").encode())
