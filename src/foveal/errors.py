"""The errors of the package, sorted by who can act on them.

::

    FovealError
    ├── FormatError            the file is wrong
    │   ├── NotFovealError     it is not a .fvl file, or of no format that foveal knows
    │   ├── TruncatedError     it ends too early
    │   ├── DamagedError       a check sum or a field contradicts the rest
    │   └── DriftError         it decoded, but to other symbols than were coded
    ├── UnsupportedError       the file or the request is sound, but this foveal cannot serve it
    │   ├── UnknownCodecError  no codec of that name or id
    │   ├── UnknownWeightsError  the weights that the file names are not here
    │   └── MissingDependencyError  a library or a program has to be installed first
    ├── LimitError             larger than the caller's Limits allow
    ├── SettingsError          a quality, a target or an option out of its range
    │   └── TargetError        no quality meets the target
    ├── PictureError           samples of a shape, type or size that cannot be coded
    ├── InputError             a file of samples that cannot be read or written
    ├── BackendError           a foreign library or program failed
    ├── NetworkError           a task network that cannot be loaded, fails, or is not what its record says
    ├── LabelError             labels that are wrong, or that do not belong to the picture or the network
    ├── CurveError             rate-distortion curves that cannot be compared
    ├── RecipeError            a training recipe or its data is wrong
    └── TheoryError            a source, a grid or an operating point that rate-distortion-classification is not defined for

``decode`` and ``info`` raise nothing else, whatever the bytes.
"""

from __future__ import annotations


class FovealError(Exception):
    """Everything that foveal raises on purpose."""


class FormatError(FovealError):
    """The file is wrong."""


class NotFovealError(FormatError):
    """The bytes begin like no file that foveal knows."""


class TruncatedError(FormatError):
    """The file ends too early."""


class DamagedError(FormatError):
    """A check sum or a field contradicts the rest of the file."""


class DriftError(FormatError):
    """The symbols differ from those that were coded."""


class UnsupportedError(FovealError):
    """A sound request that this version cannot serve."""


class UnknownCodecError(UnsupportedError):
    """No codec of that name or id."""


class UnknownWeightsError(UnsupportedError):
    """The weights that the file names are not here."""


class MissingDependencyError(UnsupportedError):
    """A library or a program has to be installed first."""


class LimitError(FovealError):
    """Larger than the caller's ``Limits`` allow."""


class SettingsError(FovealError):
    """A quality, a target or an option out of its range."""


class TargetError(SettingsError):
    """No quality meets the target."""


class PictureError(FovealError):
    """Samples of a shape, type or size that cannot be coded."""


class InputError(FovealError):
    """A file that cannot be read or written."""


class BackendError(FovealError):
    """A foreign library or program failed."""


class NetworkError(FovealError):
    """A task network that cannot be loaded, fails, or is not what its record says."""


class LabelError(FovealError):
    """Labels that are wrong, or that do not belong to the picture or the network."""


class CurveError(FovealError):
    """Rate-distortion curves that cannot be compared."""


class RecipeError(FovealError):
    """A training recipe or its data is wrong."""


class TheoryError(FovealError):
    """A source, a grid or an operating point that rate-distortion-classification is not defined for."""


class PrecisionWarning(UserWarning):
    """Samples lost precision on the way in, such as 16 bits coded as 8."""
