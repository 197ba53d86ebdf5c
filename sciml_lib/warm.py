"""Kernels of notebooks: how one begins with everything imported, and how each of them ends in silence.

Most of the time of a short chapter is that of starting Python and importing PyTorch. Chapters that are executed one after
another by one command need that once: the command imports the library, and each kernel is a fork of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NoReturn

from jupyter_client import AsyncKernelManager

_MODULES = (
    *("jupytext", "papermill", "ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib_inline.backend_inline", "jinja2"),
    *("PIL.Image", "scipy.ndimage", "matplotlib.backends.backend_agg"),
)


def load() -> None:
    """Imports what chapters and the tools that execute them need; nothing is started, so that the process can be forked."""
    import sciml_lib

    for module in _MODULES:
        import_module(module)
    for room in sciml_lib._ROOMS:
        getattr(sciml_lib, room)
    # Every chapter asks whether its runs are those of the present library; what the answer reads of the sources is kept.
    from sciml_lib.sweeps import catalog, provenance

    for sweep in catalog.SWEEPS.values():
        provenance.library_digest(sweep.at("laptop").code)


class Fork:
    """A copy of this process that waits until it is asked to become a kernel; then it stands for its process.

    It has of ``subprocess.Popen`` what a kernel manager uses. To be made before this process starts a thread.
    """

    stdin = stdout = stderr = None

    def __init__(self):
        """Forks; what was not asked to be a kernel ends together with this process."""
        reader, self._order = os.pipe()
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._order)
            _wait_and_become_a_kernel(reader)
        os.close(reader)

    def become_a_kernel(self, command: list[str], env: dict[str, str], cwd: str | None = None) -> None:
        """Starts the kernel for which ``command`` is the command line."""
        order = {"arguments": command[command.index("ipykernel_launcher") + 1 :], "env": env, "cwd": cwd or os.getcwd()}
        with open(self._order, "w", encoding="utf-8") as pipe:
            json.dump(order, pipe)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self._status(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the end and returns the exit status; nobody here gives a timeout."""
        return self._status(0)

    def send_signal(self, signum: int) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def _status(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _wait_and_become_a_kernel(reader: int) -> NoReturn:
    """What the copy does, to its end: no clean-up of the process it is a copy of may run in it."""
    status = 1
    try:
        detach(signal.SIG_IGN)
        with open(reader, encoding="utf-8") as pipe:
            text = pipe.read()
        if text:
            order = json.loads(text)
            os.environ.clear()
            os.environ.update(order["env"])
            os.chdir(order["cwd"])
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from ipykernel.kernelapp import IPKernelApp

            # It watches its parent and ends with it.
            IPKernelApp.launch_instance(argv=[*order["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"])
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def detach(handler: Any) -> None:
    """Takes a fork out of reach of the terminal's Ctrl-C; whoever forked it sends the signal on.

    Args:
        handler: what becomes of the signal from here on; before, it was held back.
    """
    os.setsid()
    signal.signal(signal.SIGINT, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Holds Ctrl-C back while something is forked that is not yet ready for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Manager(AsyncKernelManager):
    """Manages the kernel of one notebook.

    A kernel that is shut down is first interrupted, whether it has anything to do or not. One that has just answered and
    not yet come to rest reports that as an error on the terminal. So only one that executes a cell is interrupted.
    """

    executing = False
    fork: Fork | None = None

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        if self.fork is None:
            await super()._async_launch_kernel(kernel_cmd, **options)
            return
        self.fork.become_a_kernel(kernel_cmd, options["env"], options.get("cwd"))
        self.provisioner.process, self.provisioner.pid = self.fork, self.fork.pid
        self._reconcile_connection_info(self.provisioner.connection_info)

    async def _async_interrupt_kernel(self) -> None:
        if self.executing or not self.shutting_down:
            await super()._async_interrupt_kernel()


def options(fork: Fork | None = None) -> dict[str, Any]:
    """Returns what papermill takes to execute one notebook with such a manager.

    Args:
        fork: what is to become the kernel; by default a Python is started.
    """
    manager = type("Manager", (Manager,), {"fork": fork})

    def note(executing: bool) -> Any:
        return lambda **_: setattr(manager, "executing", executing)

    return {"kernel_manager_class": manager, "on_cell_execute": note(True), "on_cell_executed": note(False)}
