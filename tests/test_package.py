"""What is installed, what can be imported and asked for, and data sets as netCDF files."""

from __future__ import annotations

from made_runs import SETUP, SMALL  # noqa: F401
