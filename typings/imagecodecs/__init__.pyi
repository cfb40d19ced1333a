from typing import Any

import numpy.typing as npt

def jpegxl_encode(
    data: npt.NDArray[Any],
    /,
    level: int | None = None,
    *,
    effort: int | None = None,
    distance: float | None = None,
    lossless: bool | None = None,
    numthreads: int | None = None,
) -> bytes: ...
def jpegxl_decode(data: bytes, /, index: int | None = None, *, numthreads: int | None = None) -> npt.NDArray[Any]: ...
