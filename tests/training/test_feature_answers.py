"""What a network's tail answers, as a loss: of the first few pictures of a batch alone."""

from __future__ import annotations

from pathlib import Path

import torch

from foveal.tasks.record import shipped_record
from foveal.training.feature_answers import TailAnswers
from latent_networks import CLASSIFIER, make_cuts, make_networks


def test_of_a_batch_the_first_three_pictures_are_asked_for(tmp_path: Path) -> None:
    cut, record = make_cuts(make_networks(tmp_path))[CLASSIFIER], shipped_record(CLASSIFIER)
    assert record is not None
    answers = TailAnswers(tmp_path / f"{CLASSIFIER}.onnx", cut, record)
    torch.manual_seed(0)
    told = torch.randn(5, 4, 14, 14)
    made = (told + 1).requires_grad_()
    loss = answers.loss([made], [told])
    loss.backward()
    assert made.grad is not None
    assert made.grad.flatten(1).any(1).tolist() == [True, True, True, False, False]
    with torch.no_grad():
        alone = [float(answers.loss([made[n : n + 1]], [told[n : n + 1]])) for n in range(3)]
    assert abs(float(loss.detach()) - sum(alone) / 3) < 1e-5
