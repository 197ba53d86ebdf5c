"""Line search for the strong Wolfe conditions, one state machine a member.

The search of Nocedal & Wright (Numerical Optimization, 2nd ed., algorithms 3.5 and 3.6) with the interpolation,
safeguards and constants of ``torch.optim.LBFGS``, which the released code calls, so that both visit the same trial
points. It is cut open at every evaluation: :meth:`WolfeSearch.advance` takes the losses and slopes at the current
trial points and leaves new ones, and a member may be in any phase while its neighbours are in others.

Everything here is one number a member, so it lives in NumPy float64 on the CPU: a hundred tiny operations cost less
there than their launches on a GPU would, and one transfer a step is needed in any case. Where PyTorch's search would
continue with a loss that is not finite, ours treats the loss as infinite and bisects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from sciml_lib.optim.state import Part

ARMIJO, CURVATURE, MAX_TRIALS = 1e-4, 0.9, 25
"""Sufficient decrease c1, curvature c2 and trials per search, as in ``torch.optim.LBFGS``.

PyTorch had 25 trials when the released code was written and has since come to stop a search when its call's evaluations
are used up; we keep the 25.
"""

# Where the gradient of a bracket's end is kept: two buffers, or nowhere because it is the one just evaluated.
FIRST, SECOND, CURRENT = 0, 1, 2


@dataclass
class WolfeSearch(Part):
    """The searches of M members.

    ``ends`` hold the bracket, ``[M, 2]`` each: step ``t``, loss ``f``, slope ``s`` and the buffer that keeps the
    gradient there. In the bracketing phase only end 0, the previous trial, is in use.

    Attributes:
        step: current trial step ``[M]``.
        loss0: loss at step 0.
        slope0: slope at step 0.
        size: largest entry of the direction.
        trials: trials after the first.
        zooming: whether a bracket has been found.
        stuck: whether the last interpolation fell too close to an end.
        low: index of the bracket's end with the lower loss.
    """

    step: np.ndarray
    loss0: np.ndarray
    slope0: np.ndarray
    size: np.ndarray
    trials: np.ndarray
    zooming: np.ndarray
    stuck: np.ndarray
    low: np.ndarray
    end_t: np.ndarray
    end_f: np.ndarray
    end_s: np.ndarray
    buffer: np.ndarray

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Self:
        """The searches that stand in these CPU tensors; what is changed here is changed there."""
        return cls(**{name: tensor.numpy() for name, tensor in tensors.items()})

    @classmethod
    def empty(cls, m: int) -> Self:
        """Searches of ``m`` members, not yet begun."""
        real = {name: np.zeros(m) for name in ("step", "loss0", "slope0", "size")}
        flags = {name: np.zeros(m, dtype=bool) for name in ("zooming", "stuck")}
        counts = {name: np.zeros(m, dtype=np.int64) for name in ("trials", "low")}
        ends = {name: np.zeros((m, 2)) for name in ("end_t", "end_f", "end_s")}
        return cls(**real, **flags, **counts, **ends, buffer=np.zeros((m, 2), dtype=np.int64))

    def tensors(self) -> dict[str, Tensor]:
        """The fields as tensors on the CPU that share their memory."""
        return {name: torch.from_numpy(value) for name, value in vars(self).items()}

    def begin(self, i: np.ndarray, step: np.ndarray, loss: np.ndarray, slope: np.ndarray, size: np.ndarray) -> None:
        """Starts the searches of the members ``i`` at their first trial steps."""
        self.step[i], self.loss0[i], self.slope0[i], self.size[i] = step, loss, slope, size
        self.trials[i], self.zooming[i], self.stuck[i], self.low[i] = 0, False, False, 0
        self.end_t[i, 0], self.end_f[i, 0], self.end_s[i, 0] = 0.0, loss, slope
        self.buffer[i] = (FIRST, SECOND)

    def advance(self, active: np.ndarray, loss: np.ndarray, slope: np.ndarray, tolerance_change: float) -> Outcome:
        """Takes the values at the trial steps and decides where every member goes.

        Args:
            active: ``[M]`` bool, which members are searching; the others are left alone.
            loss: ``[M]``; infinite where it is not finite.
            slope: ``[M]``, derivative of the loss along the direction.
            tolerance_change: a bracket shorter than this, measured in the largest parameter, is given up.

        Returns:
            Which searches ended and where, and which gradients must be kept.
        """
        m = len(loss)
        with np.errstate(all="ignore"):
            too_high = loss > self.loss0 + ARMIJO * self.step * self.slope0
            flat = np.abs(slope) <= -CURVATURE * self.slope0
        outcome = Outcome(done=np.zeros(m, bool), end=np.full(m, CURRENT), keep=np.full(m, CURRENT))
        zooming = self.zooming.copy()
        self._bracket(np.flatnonzero(active & ~zooming), loss, slope, too_high, flat, outcome)
        self._zoom(np.flatnonzero(active & zooming), loss, slope, too_high, flat, outcome)
        self._next_trial(np.flatnonzero(active & self.zooming & ~outcome.done), tolerance_change, outcome)
        return outcome

    def _bracket(
        self, i: np.ndarray, f: np.ndarray, s: np.ndarray, too_high: np.ndarray, flat: np.ndarray, outcome: Outcome
    ) -> None:
        """Bracketing phase of the members ``i``."""
        rising = too_high[i] | ((self.trials[i] > 1) & (f[i] >= self.end_f[i, 0]))
        accepted = ~rising & flat[i]
        outcome.done[i[accepted]] = True
        found = rising | (~accepted & ((s[i] >= 0) | (self.trials[i] >= MAX_TRIALS)))
        out = ~accepted & ~found

        grow = i[out]
        if grow.size:  # step further; the trial becomes the previous one
            previous = self.end_t[grow, 0].copy()
            t = self.step[grow].copy()
            bounds = (t + 0.01 * (t - previous), 10.0 * t)
            self.step[grow] = _cubic_minimum(previous, self.end_f[grow, 0], self.end_s[grow, 0], t, f[grow], s[grow], bounds)
            self.end_t[grow, 0], self.end_f[grow, 0], self.end_s[grow, 0] = t, f[grow], s[grow]
            outcome.keep[grow] = FIRST
            self.trials[grow] += 1
            spent = grow[self.trials[grow] >= MAX_TRIALS]
            # The last trial closes a bracket whose other end is the start; the better of the two is taken.
            self.end_t[spent, 0], self.end_f[spent, 0], self.end_s[spent, 0] = 0.0, self.loss0[spent], self.slope0[spent]
            outcome.restore[spent] = True

        close = i[found]
        if close.size:
            self.end_t[close, 1], self.end_f[close, 1], self.end_s[close, 1] = self.step[close], f[close], s[close]
            outcome.keep[close] = SECOND
            outcome.restore[close] = self.trials[close] == 0
            self.low[close] = np.where(self.end_f[close, 0] <= self.end_f[close, 1], 0, 1)
            self.zooming[close] = True

    def _zoom(
        self, i: np.ndarray, f: np.ndarray, s: np.ndarray, too_high: np.ndarray, flat: np.ndarray, outcome: Outcome
    ) -> None:
        """Zoom phase of the members ``i``: the trial replaces one end of the bracket."""
        low, high = self.low[i], 1 - self.low[i]
        worse = too_high[i] | (f[i] >= self.end_f[i, low])

        shrink, at = i[worse], high[worse]
        self.end_t[shrink, at], self.end_f[shrink, at], self.end_s[shrink, at] = self.step[shrink], f[shrink], s[shrink]
        outcome.keep[shrink] = self.buffer[shrink, at]
        self.low[shrink] = np.where(self.end_f[shrink, 0] <= self.end_f[shrink, 1], 0, 1)

        accepted = ~worse & flat[i]
        outcome.done[i[accepted]] = True

        better = ~worse & ~accepted
        j, lo, hi = i[better], low[better], high[better]
        turn = s[j] * (self.end_t[j, hi] - self.end_t[j, lo]) >= 0
        k, lo_k, hi_k = j[turn], lo[turn], hi[turn]
        for end in (self.end_t, self.end_f, self.end_s):
            end[k, hi_k] = end[k, lo_k]
        # The old low end moves over to the high position and takes its gradient's buffer along.
        self.buffer[k, hi_k], self.buffer[k, lo_k] = self.buffer[k, lo_k].copy(), self.buffer[k, hi_k].copy()
        self.end_t[j, lo], self.end_f[j, lo], self.end_s[j, lo] = self.step[j], f[j], s[j]
        outcome.keep[j] = self.buffer[j, lo]

    def _next_trial(self, i: np.ndarray, tolerance_change: float, outcome: Outcome) -> None:
        """Ends the searches that cannot go on and places the next trial of the others inside the bracket."""
        width = np.abs(self.end_t[i, 1] - self.end_t[i, 0])
        # A search enters the zoom with the trial that closed the bracket counted, as PyTorch counts it.
        over = (width * self.size[i] < tolerance_change) | (self.trials[i] >= MAX_TRIALS)
        give_up = i[over]
        outcome.done[give_up] = True
        at = self.low[give_up]
        self.step[give_up] = self.end_t[give_up, at]
        outcome.end[give_up] = self.buffer[give_up, at]
        outcome.loss[give_up] = self.end_f[give_up, at]

        i = i[~over]
        if not i.size:
            return
        t0, t1 = self.end_t[i, 0], self.end_t[i, 1]
        lower, upper = np.minimum(t0, t1), np.maximum(t0, t1)
        t = _cubic_minimum(t0, self.end_f[i, 0], self.end_s[i, 0], t1, self.end_f[i, 1], self.end_s[i, 1], (lower, upper))
        margin = 0.1 * (upper - lower)
        close = np.minimum(upper - t, t - lower) < margin
        push = close & (self.stuck[i] | (t >= upper) | (t <= lower))
        inner = np.where(np.abs(t - upper) < np.abs(t - lower), upper - margin, lower + margin)
        self.stuck[i] = close & ~push
        self.step[i] = np.where(push, inner, t)
        self.trials[i] += 1


class Outcome:
    """What one call of :meth:`WolfeSearch.advance` decided, ``[M]`` each.

    Attributes:
        done: the search has ended, at ``WolfeSearch.step``.
        end: where the gradient at that step is: a buffer, or :data:`CURRENT`.
        loss: loss at that step where it is not the current one, else NaN.
        keep: the buffer into which the current gradient must be written, or :data:`CURRENT` for none.
        restore: whether the first buffer must then be set to the gradient at step 0.
    """

    def __init__(self, done: np.ndarray, end: np.ndarray, keep: np.ndarray) -> None:
        """Starts from "nothing decided"."""
        self.done, self.end, self.keep = done, end, keep
        self.loss = np.full(len(done), np.nan)
        self.restore = np.zeros(len(done), bool)


def _cubic_minimum(
    t1: np.ndarray,
    f1: np.ndarray,
    s1: np.ndarray,
    t2: np.ndarray,
    f2: np.ndarray,
    s2: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Minimum of the cubic through two values and slopes (Nocedal & Wright, equation 3.59), kept within bounds.

    Where there is none, or a value is not finite, the middle of the bounds.
    """
    low, high = bounds
    with np.errstate(all="ignore"):
        d1 = s1 + s2 - 3.0 * (f1 - f2) / (t1 - t2)
        square = d1 * d1 - s1 * s2
        d2 = np.sqrt(square)
        right = t2 - (t2 - t1) * ((s2 + d2 - d1) / (s2 - s1 + 2.0 * d2))
        left = t1 - (t1 - t2) * ((s1 + d2 - d1) / (s1 - s2 + 2.0 * d2))
        t = np.clip(np.where(t1 <= t2, right, left), low, high)
    return np.where((square >= 0) & np.isfinite(t), t, 0.5 * (low + high))
