"""The names of families of models and of training strategies: as parts of an id, and as a reader sees them.

Systems know their own names, see :class:`sciml_lib.systems.System`.
"""

FAMILY_NAMES = {"pinn": "PINN", "fno": "FNO", "pino": "PINO", "node": "NODE", "pinode": "PINODE"}
"""Families of models, as Table 5 of the paper calls them."""

STRATEGY_NAMES = {
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "alm": "ALM",
    "ropinn": "RoPINN",
    "nncg": "NNCG",
    "cl": "CL",
}
"""Training strategies, as Table 5 of the paper calls them."""

VARIANTS = {"warmup": "lbfgs"}
"""Studies whose name does not begin with the strategy they vary."""


def strategy_of(variant: str) -> str:
    """The strategy that a variant varies: ``lbfgs`` of ``lbfgs-literal`` and of ``warmup-2000``."""
    first = variant.split("-")[0]
    return VARIANTS.get(first, first)


def slug(title: str) -> str:
    """A system's title as part of an id: ``reaction-diffusion`` of ``1D Reaction-Diffusion``."""
    return title.lower().removeprefix("1d ").removeprefix("2d ").replace(" ", "-")
