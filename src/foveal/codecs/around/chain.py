"""What an encode asks for around a codec: one place where names become networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, final, get_args

from foveal.codecs.around.note import check_host
from foveal.codecs.around.preprocess import PREPROCESSORS, host_of
from foveal.codecs.base import Codec, CodecInfo
from foveal.errors import SettingsError

Restore = Literal["compact", "full"]


@final
@dataclass(frozen=True)
class Around:
    """Networks around a standard codec.

    preprocess: the network before it, ``npp``, for machines; None for none. trained_for: the codec that it was trained for, where that is
    another one; None for the codec itself, or HEVC where it has none. restore: ``compact`` halves the picture before coding and restores it
    after decoding, ``full`` restores alone; None for neither.

    Raises:
        SettingsError: a name that is not known; both a preprocessor and a restoration; none of them.
    """

    preprocess: str | None = None
    trained_for: str | None = None
    restore: Restore | None = None

    def __post_init__(self) -> None:
        if self.preprocess is not None and self.preprocess not in PREPROCESSORS:
            raise SettingsError(f"preprocess = {self.preprocess!r}; npp or npp:CODEC is allowed, or leave it out")
        if self.restore is not None and self.restore not in get_args(Restore):
            raise SettingsError(f"restore = {self.restore!r}; {' or '.join(get_args(Restore))} is allowed, or leave it out")
        if self.preprocess is not None and self.restore is not None:
            raise SettingsError(
                "a preprocessor, which is for machines, and a restoration, which is for people and would undo it; leave one out"
            )
        if self.preprocess is None and (self.restore is None or self.trained_for is not None):
            raise SettingsError("no network around the codec; name a preprocessor or a restoration")

    def check(self, info: CodecInfo) -> None:
        """What can be said before any picture is read.

        Raises:
            SettingsError: a learned codec. UnsupportedError: a restoration in files that have no place for its note.
        """
        if info.learned:
            what = f"preprocess = {self.preprocess!r}" if self.preprocess else f"restore = {self.restore!r}"
            raise SettingsError(
                f"{what} goes around a standard codec, {info.name} is learned; leave it out, or take another codec"
            )
        if self.restore is not None:
            check_host(info.name)

    def wrap(self, codec: Codec) -> Codec:
        """The codec between these networks.

        Raises:
            SettingsError: a learned codec. UnknownWeightsError: no such network for this codec.
        """
        self.check(codec.info)
        if self.preprocess is not None:
            from foveal.codecs.around.preprocess import preprocessing

            return preprocessing(codec, self.preprocess, self.trained_for)
        from foveal.codecs.around.compact import restoring

        return restoring(codec, compact=self.restore == "compact")

    def weights_of(self, codec: str) -> str:
        """The id of the weights that go around a codec. Raises UnknownWeightsError: there are none."""
        from foveal.codecs.around.cards import card_for  # torch comes with it

        if self.preprocess is not None:
            return card_for("preprocess", host_of(codec, self.trained_for)).id
        return card_for("compact" if self.restore == "compact" else "restore", codec).id


def asked_around(preprocess: str | None, restore: str | None) -> Around | None:
    """What a caller asks for; ``preprocess`` is ``npp``, or ``npp:hevc`` for the network of another codec. None: nothing. Raises as ``Around``."""
    if preprocess is None and restore is None:
        return None
    if not isinstance(preprocess, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"preprocess = {preprocess!r}; a word such as 'npp' or 'npp:hevc' is needed, or leave it out")
    name, _, trained_for = (preprocess or "").partition(":")
    return Around(
        None if preprocess is None else name if trained_for else preprocess, trained_for or None, cast("Restore | None", restore)
    )


def wrapped(codec: Codec, around: Around | None) -> Codec:
    """The codec between the networks that are asked for, or alone."""
    return codec if around is None else around.wrap(codec)
