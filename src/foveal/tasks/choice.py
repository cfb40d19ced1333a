"""Which reader answers for a file: a head that reads its latents where there is one, else a network that reads its picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, final

from foveal.codecs.base import DecodeSettings
from foveal.codecs.learned.weights import cards
from foveal.codecs.registry import codec_by_name
from foveal.codecs.sniff import codec_of, read_any
from foveal.container.format import SIGNATURE, Head
from foveal.container.reader import read_first_head
from foveal.errors import NetworkError, NotFovealError, SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.tasks.opening import open_task
from foveal.tasks.pixel import PixelTask
from foveal.tasks.results import Boxes, Result
from foveal.tasks.scorings import SCORINGS
from foveal.tasks.things import things_in
from foveal.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    from foveal.tasks.latent.feature_task import LatentFeatureTask
    from foveal.tasks.latent.running import LatentTask
    from foveal.tasks.latent.weights import LatentCard

Source = Literal["auto", "latent", "pixels"]
SOURCES: Final = ("auto", "latent", "pixels")
LATENT_CODEC: Final = "frequency"
THINGS: Final = "things"
TASKS: Final = (*SCORINGS, THINGS)
"""What can be asked for. Which things a picture shows says a head of that name, or a network that detects them."""
PIXEL_NETWORKS: Final = {"segment": "builtin:camvid-segment"}
"""What reads pictures where a task alone was named."""


@dataclass(frozen=True)
class Asked:
    """What is asked of files. network: None for what comes with foveal for the task. task: None for what the network answers.

    source: ``latent`` or ``pixels`` to allow that alone. bands: how many of a file are read, the coarsest first. allow_partial: takes a
    file that was cut, with what is there.
    """

    network: str | None
    task: str | None = None
    record: str | None = None
    source: Source = "auto"
    bands: int | None = None
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS
    allow_partial: bool = False

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise SettingsError(f"source = {self.source!r}; choose from {', '.join(SOURCES)}")
        if self.network is None and self.task is None:
            raise NetworkError("neither a network nor a task is named; name one of them")
        if self.task is not None and self.task not in TASKS:
            raise SettingsError(f"task = {self.task!r}; choose from {', '.join(TASKS)}")
        if self.network is None and self.record is not None:
            raise NetworkError("a record without a network; name the network that it is of")
        if self.network is None and self.source == "pixels" and self.task not in PIXEL_NETWORKS:
            raise NetworkError(f"no network for {self.task} that reads pictures comes with foveal; name one")


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found in a file. network: as reports call it. read_from: ``latent`` or ``pixels``; why: why not from latents, if they
    could have been hoped for. bytes_read: of the file. bands: how many there were, of latents. read_s, analyze_s: seconds to latents or picture, and for the network with
    its preparation. picture: what was decoded, if it was.
    """

    result: Result
    classes: Vocabulary
    task: str
    network: str
    width: int
    height: int
    read_from: Literal["latent", "pixels"]
    bytes_read: int
    read_s: float
    analyze_s: float
    why: str | None = None
    picture: Picture | None = None
    bands: int | None = None


@final
class FileAnalyst:
    """Answers for one file after another; networks are opened once.

    pixel: the network that reads pictures, where it is open already; ``asked.network`` then is only what reports call it.

    Raises:
        NetworkError: as ``open_task``, or the network answers another task than was asked for.
    """

    def __init__(self, asked: Asked, pixel: PixelTask | None = None) -> None:
        self._asked = asked
        if pixel is not None:
            self._pixel: PixelTask | None = check_task(pixel, asked.task)
        else:
            self._pixel = None if asked.network is None else self._open(asked.network)
        self.task = asked.task or self._open_pixels().record.task
        self._heads: dict[str, LatentTask | LatentFeatureTask] = {}
        self._others = dict[Path, bool]()

    def _asked_for(self, result: Result, classes: Vocabulary) -> Result:
        """Of boxes what they show, where that was asked for."""
        return things_in(result, len(classes)) if self.task == THINGS and isinstance(result, Boxes) else result

    @property
    def identity(self) -> str:
        """Another one where what answers changes: the network, its record, or the heads that come with foveal."""
        from foveal.tasks.latent.weights import latent_cards

        pixel = "" if self._pixel is None else f"{self._pixel.identity} {self._pixel.record}"
        return f"{pixel} {' '.join(card.id for card in latent_cards())}"

    def answer(self, data: bytes | memoryview) -> Answer:
        """What is found in the bytes of a file. Raises FovealError: it cannot be read, or nothing that was asked for reads it."""
        head = _latent_head(data, self._asked.limits)
        why = self._why_not_latent(head)
        if why is None and head is not None:
            return self._from_latents(data, head)
        if self._asked.source == "latent":
            raise NetworkError(f"{why}; leave --from latent (source=) out, or ask for what a head answers")
        if self._pixel is None and self.task not in PIXEL_NETWORKS:
            raise NetworkError(f"{why}, and no network for {self.task} that reads pictures comes with foveal; name one")
        coded = bytes(data[: len(SIGNATURE)]) == SIGNATURE
        return self._from_pixels(data, why if coded else None)

    def answer_picture(self, picture: Picture) -> Answer:
        """What is found in a picture that is at hand. Raises NetworkError: latents were asked for, or the network fails."""
        if self._asked.source == "latent":
            raise NetworkError("a picture has no latents; give the bytes or the name of a file")
        return self._of_picture(picture, 0, 0.0, None)

    def _open(self, spec: str) -> PixelTask:
        record = None if self._asked.record is None else Path(self._asked.record)
        return check_task(open_task(spec, record, self._asked.threads), self._asked.task)

    def _open_pixels(self) -> PixelTask:
        if self._pixel is None:
            task = self._asked.task or ""
            if task not in PIXEL_NETWORKS:
                raise NetworkError(f"no network for {task} that reads pictures comes with foveal; name one")
            self._pixel = self._open(PIXEL_NETWORKS[task])
        return self._pixel

    def _why_not_latent(self, head: Head | None) -> str | None:
        """None if a head that comes with foveal reads the file."""
        from foveal.tasks.latent.weights import card_for, latent_cards

        if self._asked.source == "pixels":
            return "pixels were asked for"
        if head is None:
            return f"only .fvl files of {LATENT_CODEC} have latents that a head reads"
        name, file = self._wanted_head()
        if name is None:
            return f"no head stands in for {self._asked.network}"
        if file is not None and self._is_other(name, file):
            return f"{file} is not the {name} that a head feeds, for all its name"
        if card_for(head.weights.hex(), name) is None:
            return f"no head for {name} reads files of {_weights_name(head.weights.hex())}; heads here read those of {_readable(latent_cards())}"
        return None

    def _wanted_head(self) -> tuple[str | None, Path | None]:
        """The head that would answer in the network's place, and the network's file where its rest goes on from there."""
        network = self._asked.network
        if network is None:
            return self.task, None
        # A head with a network's own rest is that network; one that learned from it is not, so who names it by itself gets it.
        found = stand_in(network) if self._asked.record is None else None
        return (None, None) if found is None or found.file is None else (found.head, found.file)

    def _is_other(self, head: str, file: Path) -> bool:
        """Whether a file that bears the name of a network that is fed is another network."""
        from foveal.tasks.latent.cuts import CUTS
        from foveal.tasks.networks.base import file_identity

        if file not in self._others:
            self._others[file] = file_identity(file) not in {cut.sha256 for cut in CUTS[head]}
        return self._others[file]

    def _open_head(self, weights: str) -> LatentTask | LatentFeatureTask:
        from foveal.tasks.latent.feature_task import open_head
        from foveal.tasks.latent.weights import card_for

        if weights not in self._heads:
            name, file = self._wanted_head()
            card = None if name is None else card_for(weights, name)
            assert card is not None
            assert name is not None
            self._heads[weights] = open_head(card, name, file, self._asked.threads)
        return self._heads[weights]

    def _from_latents(self, data: bytes | memoryview, head: Head) -> Answer:
        from foveal.codecs.learned.frequency.latents import read_latents

        asked, task = self._asked, self._open_head(head.weights.hex())
        start = time.perf_counter()
        latents = read_latents(
            data, bands=asked.bands, allow_partial=asked.allow_partial, threads=asked.threads, limits=asked.limits
        )
        read = time.perf_counter()
        result = task.analyze(latents)
        done = time.perf_counter()
        return Answer(
            self._asked_for(result, task.classes), task.classes, self.task, task.label, latents.width, latents.height,
            "latent", latents.bytes_read, read - start, done - read, bands=len(latents.bands),
        )  # fmt: skip

    def _from_pixels(self, data: bytes | memoryview, why: str | None) -> Answer:
        start = time.perf_counter()
        picture, size = self.decoded(data)
        return self._of_picture(picture, size, time.perf_counter() - start, why)

    def decoded(self, data: bytes | memoryview) -> tuple[Picture, int]:
        """The picture of what is asked for of a file, and the bytes that were read. Raises FovealError: there is none."""
        asked = self._asked
        settings = DecodeSettings(bands=asked.bands, allow_partial=asked.allow_partial, threads=asked.threads)
        try:
            codec = codec_of(data, asked.limits)
        except NotFovealError:
            if asked.bands is not None:
                raise SettingsError(f"bands = {asked.bands}; a picture has none: leave it out, or give a coded file") from None
            codec = None
        if codec is None or not (asked.bands or asked.allow_partial):
            return read_any(bytes(data), asked.limits), len(data)
        picture = codec.decode(data, asked.limits, settings)
        return picture, len(data) if asked.allow_partial else codec.bytes_needed(data, asked.limits, settings)

    def _of_picture(self, picture: Picture, size: int, read_s: float, why: str | None) -> Answer:
        task, start = self._open_pixels(), time.perf_counter()
        result = task.analyze(picture)
        return Answer(
            self._asked_for(result, task.classes), task.classes, self.task, self._asked.network or PIXEL_NETWORKS[self.task], picture.width, picture.height,
            "pixels", size, read_s, time.perf_counter() - start, why, picture,
        )  # fmt: skip


@dataclass(frozen=True)
class StandIn:
    """The head that answers in a network's place. file: the network's, where its rest goes on from there."""

    head: str
    file: Path | None


def stand_in(network: str) -> StandIn | None:
    """The head in the place of ``builtin:camvid-segment`` or ``onnx:FILE``; None if there is none for it."""
    from foveal.tasks.latent.cuts import CUTS

    for head, pixels in PIXEL_NETWORKS.items():
        if pixels == network:
            return StandIn(head, None)
    kind, _, name = network.partition(":")
    return StandIn(Path(name).stem, Path(name)) if kind == "onnx" and Path(name).stem in CUTS else None


def _weights_name(weights: str) -> str:
    """What the codec's weights of an id are called, and their preset; the id where they are not here."""
    card = next((card for card in cards() if card.id == weights), None)
    return f"weights {weights}" if card is None else f"{card.name} (preset {card.preset})" if card.preset else card.name


def _readable(heads: Sequence[LatentCard]) -> str:
    """Whose files heads read, and which tasks they answer of them."""
    reads = dict.fromkeys(card.reads for card in heads)
    known = {weights: [head for card in heads if card.reads == weights for head in card.heads.split(",")] for weights in reads}
    tasks = {weights: ", ".join(dict.fromkeys(names)) for weights, names in known.items()}
    return "; ".join(f"{_weights_name(weights)}: {answers}" for weights, answers in tasks.items()) or "none"


def _latent_head(data: bytes | memoryview, limits: Limits) -> Head | None:
    """What a file of ``frequency`` says of itself first; None for others."""
    if bytes(data[: len(SIGNATURE)]) != SIGNATURE:
        return None
    head = read_first_head(data, limits)
    return head if head.codec == codec_by_name(LATENT_CODEC).info.id else None


def check_task(opened: PixelTask, wanted: str | None) -> PixelTask:
    """The task itself. Raises NetworkError: it does not answer ``wanted``."""
    answers = (opened.record.task, THINGS) if opened.record.task == "detect" else (opened.record.task,)
    if wanted is not None and wanted not in answers:
        raise NetworkError(f"{opened.label} answers {opened.record.task}, its record says, and {wanted} was asked for")
    return opened
