"""The verbs of the training half: options in, one call into the code that does the work."""

from __future__ import annotations

import importlib.util
import os

# torch takes seconds to import: the modules that need it are imported inside the commands, so
# that `--help` answers at once. Whether it is installed is known without importing it, and
# `pangu` answers this error with the name of the extra to install.
if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")

# Threads that wait for each other in a loop, torch's default, make a step several times slower
# as soon as anything else wants a core. This is read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
