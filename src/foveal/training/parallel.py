"""Several processes that train one model together, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import distributed, nn


@final
@dataclass(frozen=True)
class Workers:
    """The processes of a run. ``rank`` 0 alone logs and writes."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that logs and writes."""
        return self.rank == 0

    def share(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with gradients averaged over the processes; itself if there is one."""
        if self.count == 1:
            return model
        ids = [device.index] if device.type == "cuda" else None
        # Steps on a prefix of the bands leave parameters without gradients.
        return nn.parallel.DistributedDataParallel(model, device_ids=ids, find_unused_parameters=True)

    def agree(self, go_on: bool) -> bool:
        """Whether all go on: clocks differ, and a process that stopped alone would leave the others waiting."""
        if self.count == 1:
            return go_on
        vote = torch.tensor(float(go_on))
        distributed.all_reduce(vote, distributed.ReduceOp.MIN, group=_control())
        return bool(vote)


@contextmanager
def workers(device: str) -> Generator[Workers]:
    """Joins the processes that torchrun started; one process alone without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        _control()
        yield Workers(distributed.get_rank(), count)
    finally:
        _GROUPS.clear()
        distributed.destroy_process_group()


_GROUPS: list[distributed.ProcessGroup] = []


def _control() -> distributed.ProcessGroup:
    """A group for votes on the CPU, beside the one for gradients."""
    if not _GROUPS:
        _GROUPS.append(distributed.new_group(backend="gloo"))  # type: ignore[arg-type]
    return _GROUPS[0]
