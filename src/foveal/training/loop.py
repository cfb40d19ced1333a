"""The training loop: one plain loop on one device, with a time budget, that can stop and go on."""

from __future__ import annotations

import copy
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveal.errors import RecipeError
from foveal.tasks.residual import settle
from foveal.threads import MOST_THREADS, check_count
from foveal.training import checkpoint
from foveal.training.checkpoint import Progress
from foveal.training.config import AnyConfig, TrainConfig
from foveal.training.parallel import Workers, workers
from foveal.training.subject import AnySubject, has_bfloat16
from foveal.training.subjects import subject_of

_LOG_S, _SAVE_S, _MEASURE_S = 60.0, 150.0, 600.0
_RANK_SEEDS = 1_000_003


def train(
    config: AnyConfig,
    data: Path,
    run: Path,
    *,
    minutes: float,
    device: str = "auto",
    threads: int | None = None,
    initial: dict[str, Tensor] | None = None,
    log: Callable[[str], None] = print,
) -> Progress:
    """Trains until the recipe's steps or the minutes are used up, going on from what ``run`` holds.

    ``initial``: weights to start a fresh run from (else random). The network with averaged weights is
    left in ``run/average.safetensors``. Returns how far the run is now.

    Raises:
        RecipeError: the recipe or the data folder does not serve. SettingsError: ``threads`` is not 1 to ``MOST_THREADS``.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    before = torch.get_num_threads()
    if threads is not None:
        check_count("threads", threads, MOST_THREADS)
        torch.set_num_threads(threads)
    try:
        with workers(device) as team:
            torch.manual_seed(config.seed)
            log = log if team.leads else _silent
            return _train(subject_of(config), data, run, minutes, torch.device(device), initial, log, team)
    finally:
        torch.set_num_threads(before)


def _silent(_: str) -> None:
    """What the processes that do not lead have to say."""


def _train(
    subject: AnySubject,
    data: Path,
    run: Path,
    minutes: float,
    device: torch.device,
    initial: dict[str, Tensor] | None,
    log: Callable[[str], None],
    team: Workers,
) -> Progress:
    start = time.monotonic()
    config = subject.config
    seed = config.seed + _RANK_SEEDS * team.rank
    lessons = subject.read(data, seed)
    model = subject.build()
    if initial is not None:
        load_initial(model, subject, initial)
    model.to(device)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    if initial is not None:
        settle(model, lambda: subject.loss(model, model, lessons.batch(0), config.steps - 1))
    average = copy.deepcopy(model)
    average.requires_grad_(False).eval()
    optimizer = make_optimizer(model, subject)
    done = checkpoint.resume(run, model, average, optimizer, subject.name)
    shared = team.share(model, device)
    log(f"{lessons.summary}; {team.count} x {device}; from step {done.step} of {config.steps}")
    if config.bfloat16 and not has_bfloat16(device.type):
        log(f"this {device.type} has no bfloat16, which the recipe asks for; float32 in its place")

    step, spent = done.step, done.minutes
    looped = last_log = last_save = last_measure = time.monotonic()
    logged, since, total = step, 0, 0.0

    def progress() -> Progress:
        return Progress(step, spent + (time.monotonic() - looped) / 60, f"{platform.machine()}, {device.type}", subject.name)

    while step < config.steps and team.agree(time.monotonic() - start < minutes * 60):
        torch.manual_seed(seed + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step) * group["factor"]
        loss = train_step(shared, model, average, optimizer, lessons.batch(step), subject, step)
        step += 1
        if loss is not None:
            since, total = since + 1, total + loss
        now = time.monotonic()
        if now - last_log > _LOG_S:
            log(
                f"step {step}  loss {total / max(1, since):.4f}  {(step - logged) / (now - last_log):.2f} steps/s  rate {learning_rate(config, step):.2e}"
            )
            last_log, logged, since, total = now, step, 0, 0.0
        if team.leads and now - last_save > _SAVE_S:
            checkpoint.save(run, model, average, optimizer, progress())
            last_save = now
        if team.leads and now - last_measure > _MEASURE_S:
            log(f"step {step}  held out: {lessons.measure(average, device)}")
            last_measure = time.monotonic()
    if step == done.step < config.steps:
        log(f"no step was trained: reading the pictures took all of --minutes {minutes:g}; give more")
    reached = progress()
    if team.leads:
        checkpoint.save(run, model, average, optimizer, reached)
        log(f"step {step}  held out: {lessons.measure(average, device)}")
    return reached


def train_step(
    shared: nn.Module,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    subject: AnySubject,
    step: int,
) -> float | None:
    """One step of the optimizer and of the averaged weights.

    ``shared``: the model, or what averages its gradients over several processes. Returns the loss, or None for one that compares with no other.
    """
    loss = subject.loss(shared, model, batch, step)
    optimizer.zero_grad(set_to_none=True)
    loss.value.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), subject.config.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    follow(average, model, min(subject.config.ema_decay, (step + 1) / (step + 10)))
    return float(loss.value.detach()) if loss.told else None


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Moves the averaged weights that learn, and what batch norms have counted, towards the model's."""
    pairs = [(own, new) for own, new in zip(average.parameters(), model.parameters(), strict=True) if new.requires_grad]
    pairs += [(own, new) for own, new in zip(average.buffers(), model.buffers(), strict=True) if own.is_floating_point()]
    torch._foreach_lerp_([own for own, _ in pairs], [new for _, new in pairs], 1 - decay)  # type: ignore[attr-defined]


def load_initial(model: nn.Module, subject: AnySubject, weights: dict[str, Tensor]) -> None:
    """Starts from weights that ship, or from those of a run.

    Raises:
        RecipeError: they do not fit the recipe's sizes.
    """
    try:
        model.load_state_dict(subject.thaw(weights))
    except (KeyError, RuntimeError) as error:
        raise RecipeError(
            f"the initial weights do not fit {subject.name} of the recipe's sizes: {str(error).splitlines()[-1].strip()}; "
            f"start from weights of {subject.name} with these sizes, or leave --from out"
        ) from error


def make_optimizer(model: nn.Module, subject: AnySubject) -> torch.optim.AdamW:
    """Adam, with rates as the subject has them and decay as the recipe has it; without decay it is plain Adam. What a
    subject has frozen is not among what it moves.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in ((name, p) for name, p in model.named_parameters() if p.requires_grad):
        decay = subject.config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((subject.rate_factor(model, name), decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": own, "factor": factor, "weight_decay": decay} for (factor, decay), own in groups.items()]
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rises over the warm-up, stays, and falls along a cosine after ``decay_from`` of the steps."""
    rising = min(1.0, (step + 1) / max(1, config.warmup_steps))
    late = max(0.0, step / config.steps - config.decay_from) / max(1e-9, 1 - config.decay_from)
    return config.learning_rate * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, late))))
