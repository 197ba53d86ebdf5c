"""Which comparisons with independent programs the tests of the repository make whenever they are run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Again:
    """One comparison.

    Attributes:
        ours: the part of the library.
        against: what it is compared with.
        file: the file of the test, below ``tests/``.
        test: the name of its function.
    """

    ours: str
    against: str
    file: str
    test: str


MEASURED_AGAIN = (
    Again("stored training losses and test errors", "NumPy alone: forward pass, derivatives, exact solution",
          "test_cross_checks.py", "test_stored_numbers_are_those_of_numpy_alone"),
    Again("L-BFGS, every member of an ensemble", "`torch.optim.LBFGS`", "test_lbfgs.py", "test_every_member_follows_torch"),
    Again("L-BFGS on PINNs of mixed coefficients", "`torch.optim.LBFGS`",
          "test_lbfgs.py", "test_members_of_a_mixed_pinn_ensemble_follow_torch"),
    Again("Adam with a falling rate", "`torch.optim.Adam` and PyTorch's schedules",
          "test_adam.py", "test_an_exponential_schedule_is_that_of_torch"),
    Again("eigenpairs by Lanczos", "a dense Hessian in double precision",
          "test_landscape_hessian.py", "test_lanczos_finds_the_eigenpairs_of_the_dense_hessian"),
    Again("eigenvalues at the ends of a matrix", "SciPy's `eigsh`", "test_landscape_hessian.py", "test_scipy_finds_the_same"),
    Again("curvature of a stored network", "hessian-eigenthings",
          "test_landscape_hessian.py", "test_an_independent_package_finds_the_same_of_a_stored_network"),
    Again("power iteration", "PyHessian's rule", "test_landscape_hessian.py", "test_power_iteration_is_that_of_pyhessian"),
    Again("the whole spectrum by quadrature", "a dense Hessian in double precision",
          "test_landscape_hessian.py", "test_as_many_steps_as_parameters_give_the_whole_spectrum"),
    Again("NysNewton-CG, one step", "the damped Newton step of a dense Hessian",
          "test_nncg.py", "test_one_step_is_the_damped_newton_step_for_every_member"),
    Again("rollouts of neural ODEs", "torchdiffeq",
          "test_neural_ode.py", "test_a_rollout_of_every_member_is_that_of_torchdiffeq"),
    Again("trajectories of the pendulum", "SciPy's `solve_ivp` on the bare formula",
          "test_pendulum.py", "test_the_training_trajectory_is_that_of_scipy_with_its_defaults"),
    Again("reference of reaction-diffusion", "Fourier derivatives with SciPy's integrator",
          "test_systems.py", "test_the_split_solution_converges_to_that_of_another_method_with_the_first_power_of_its_step"),
    Again("the fused kernel", "the eager form with autograd", "test_kernel.py", "test_the_kernel_is_exact_for_every_system"),
)  # fmt: skip
"""The comparisons, the one closest to the stored numbers first."""
