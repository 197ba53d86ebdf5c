"""Runs that another profile of the sweep has trained already: taken over as they are, and not trained twice."""

from __future__ import annotations

from sciml_lib.errors import UserError
from sciml_lib.sweeps import manifest as manifests
from sciml_lib.sweeps import store
from sciml_lib.sweeps.job import Job
from sciml_lib.sweeps.store import Writer


def take_over(job: Job, writer: Writer) -> int:
    """Copies the runs that a job wants from stores of other profiles, with their parameters and the record of who made them.

    What is taken has the same recipe and was trained by the present code. A run whose parameters should be kept and are not
    stored there is left to be trained.

    Args:
        job: what is wanted.
        writer: its store, open.

    Returns:
        How many runs were taken over.

    Raises:
        UserError: if they cannot be written.
    """
    taken, plan = 0, job.plan
    for other in job.siblings:
        wanted = set(job.cells) - writer.rows.keys()
        if not wanted:
            break
        try:
            found = store.read(other)
            rows = [row for row in found.rows if row.cell in wanted]
            if not rows or manifests.library_changed(found.manifest, plan):
                continue
            amounts = {row.cell.n_data for row in rows if row.cell.seed in plan.kept_seeds}
            params = {n: store.read_params(other, n) for n in amounts}
        except UserError:  # a store that is not in order is that profile's business
            continue
        kept = {row.cell: params.get(row.cell.n_data, {}).get(store.params_key(row.cell)) for row in rows}
        rows = [row for row in rows if kept[row.cell] is not None or row.cell.seed not in plan.kept_seeds]
        writer.take(rows, {cell: array for cell, array in kept.items() if array is not None}, found.manifest)
        taken += len(rows)
    return taken
