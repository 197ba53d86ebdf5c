"""One map with everything a chapter shows and says of it: means, regimes, borders, pictures and agreement.

This is the glue between the stored runs and the rooms that know arrays only; it computes nothing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sciml_lib import figures, regimes, systems
from sciml_lib.regimes import Agreement, Bootstrap, Boundary, Regime, Thresholds


@dataclass(frozen=True)
class Panel:
    """A regime map computed from stored runs.

    Attributes:
        runs: what :func:`sciml_lib.load` returns; dimensions coefficient, n_data and seed.
    """

    runs: xr.Dataset

    @property
    def sweep(self) -> str:
        """The id of the sweep, such as ``pinn/convection/lbfgs``."""
        return self.runs.attrs["sweep"]

    @cached_property
    def train(self) -> xr.DataArray:
        """Seed mean of the training loss, ``[n_coefficient, n_data]``; NaN where nothing is stored."""
        return regimes.seed_mean(self._seeded("train_loss"), self._seeded("status"))

    @cached_property
    def test(self) -> xr.DataArray:
        """Seed mean of the test error, ``[n_coefficient, n_data]``; NaN where nothing is stored."""
        return regimes.seed_mean(self._seeded("test_error"), self._seeded("status"))

    @cached_property
    def thresholds(self) -> Thresholds:
        """The row of Table 5 for this sweep."""
        return regimes.thresholds.of_panel(self.sweep)

    @cached_property
    def labels(self) -> xr.DataArray:
        """The regime of every cell, 0 where nothing is stored."""
        return regimes.label(self.train, self.test, self.thresholds)

    @cached_property
    def boundaries(self) -> list[Boundary]:
        """Both borders at the five perturbations of their thresholds."""
        return regimes.extract(self.train, self.test, self.thresholds)

    @cached_property
    def band(self) -> Bootstrap | None:
        """What resampling the seeds says; None if there is one seed only."""
        if self.runs.sizes["seed"] < 2:
            return None
        return regimes.bootstrap(
            self._seeded("train_loss"),
            self._seeded("test_error"),
            self.thresholds,
            generator=np.random.default_rng(0),
        )

    @cached_property
    def published(self) -> xr.Dataset:
        """The published pair of maps, digitised from Fig. 1(a), which is also Fig. 2(a)."""
        return regimes.published.fig1("PINN")

    @cached_property
    def published_labels(self) -> xr.Dataset:
        """The regimes that can be read from the published map, judged by the same thresholds."""
        return regimes.published.labels(self.published, self.thresholds)

    @cached_property
    def agreement(self) -> Agreement:
        """Our labels against the published ones."""
        theirs = self.published_labels
        return regimes.agreement(self.labels, theirs["label"], theirs["legible"], theirs["uncertain"])

    def agreement_with(self, other: Panel) -> Agreement:
        """The labels of this panel against those of another of ours."""
        known = other.labels != int(Regime.MISSING)
        return regimes.agreement(self.labels, other.labels, known)

    def regime_map(self, title: str, *, band: bool = False) -> Figure:
        """The pair of maps; with ``band`` the part in which the resampled borders lie is veiled."""
        return figures.regime_map(
            *self._maps,
            self.thresholds,
            self.boundaries,
            **self._words,
            title=title,
            band=self.band if band else None,
        )

    def beside_the_published(self, title: str) -> Figure:
        """Our maps above the published ones."""
        theirs = regimes.extract(self.published["train_loss"], self.published["test_error"], self.thresholds)
        return figures.side_by_side(
            *self._maps, self.published, self.thresholds, self.boundaries, theirs, **self._words, title=title
        )

    def label_maps(self, title: str) -> Figure:
        """Our labels, the published ones, and where they differ."""
        theirs = self.published_labels
        return figures.label_maps(
            self.labels,
            theirs["label"],
            self.agreement,
            uncertain=theirs["uncertain"],
            **self._words,
            title=title,
        )

    @property
    def _maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return (
            self.train.values,
            self.test.values,
            self.runs["coefficient"].values,
            self.runs["n_data"].values,
        )

    @property
    def _words(self) -> dict[str, str]:
        system = systems.get(self.sweep.split("/")[1])
        return {
            "coefficient_label": f"{system.coefficient_label}, the {system.name} coefficient",
            "data_label": "$N_f$, collocation points",
        }

    def _seeded(self, name: str) -> xr.DataArray:
        return self.runs[name].transpose("coefficient", "n_data", "seed")
