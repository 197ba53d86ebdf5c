"""Spectral densities of the Hessian before and after training: Figs. 6(a,b), 13 and 16(a-d)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sciml_lib.landscape import HessianOperator, slq
from sciml_lib.studies.base import Arrays, Context, Item, Network, Study
from sciml_lib.studies.cells import CONVECTION, REACTION_DIFFUSION, SMOKE, items, together


class Spectra(Study):
    """Ritz values and weights of stochastic Lanczos quadrature, 100 steps from 10 starts as in the released code.

    The cells are those of the paper's figures. For Figs. 16(c,d), which have 20,000 points, the largest amount of a
    profile is taken: 2,000 on a laptop.
    """

    id = "spectra"
    title = "Spectral densities of the Hessian, before and after training"

    def items(self, profile: str) -> tuple[Item, ...]:
        """Each run at its start and at its end."""
        variants = ("before", "after")
        if profile == "smoke":
            return items(SMOKE, {CONVECTION: 1, REACTION_DIFFUSION: 1}, variants)
        most = 2_000 if profile == "laptop" else 20_000
        cells = {
            CONVECTION: ((5.0, 100), (50.0, 500), (50.0, 100), (5.0, most), (50.0, most)),
            REACTION_DIFFUSION: ((5.0, 1000), (15.0, 1000), (20.0, 1000)),
        }
        return items(cells, {CONVECTION: 3, REACTION_DIFFUSION: 2}, variants)

    def recipe(self, profile: str) -> dict[str, Any]:
        """Steps and starts of the quadrature."""
        return {"steps": 10, "starts": 2} if profile == "smoke" else {"steps": 100, "starts": 10}

    def networks(self, item: Item) -> tuple[Network, ...]:
        """The run's own at its end; at its start there is none yet."""
        return () if item.variant == "before" else super().networks(item)

    def groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """All networks that can be one ensemble."""
        return together(list(items))

    def compute(self, group: Sequence[Item], profile: str, context: Context) -> Iterator[tuple[Item, Arrays]]:
        """One quadrature for the whole group."""
        problem = context.problem(group)
        seeds = [item.seed for item in group]
        params = problem.init(seeds) if group[0].variant == "before" else context.trained(group)
        spectrum = slq(HessianOperator.of_problem(problem, params), seeds=seeds, **self.recipe(profile))
        for item, nodes, weights in zip(group, spectrum.nodes, spectrum.weights, strict=True):
            yield item, {"nodes": nodes.numpy(), "weights": weights.numpy()}
