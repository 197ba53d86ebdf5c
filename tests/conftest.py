"""What several tests of training need."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture
def searches_of_25_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's line searches as the released code had them; a newer PyTorch cuts them off with the call's evaluations."""
    module = importlib.import_module("torch.optim.lbfgs")
    search = module._strong_wolfe

    def with_25(*args: object, **options: object) -> object:
        return search(*args, **(options | {"max_ls": 25}))

    monkeypatch.setattr(module, "_strong_wolfe", with_25)
