"""Text at memory speed: loops compiled with numba that run over the buffers of whole batches.

Each module computes one thing, twice: the *reference*, plain Python that says what is meant, and
the *kernel*, the same over the arrays of a `TextBatch` or over raw bytes. Tests hold the two equal
on generated and on real text. The modules above this folder (`filters.signals`, `filters.clean`,
`filters.main_text` …) are what the rest of the project calls; nobody else calls a kernel.

House rules, each of which cost somebody a day (docs/kernels.md has the measurements):

- compile with `compiling.kernel`, never with numba directly: it sets cache, errors and the GIL;
- one entry point per module turns whatever comes into the one dtype that the kernel knows, since
  every mixture of int32 and int64, read-only and writable is compiled anew;
- scratch memory belongs to the caller's object or to the call, never to the module;
- unsigned and signed integers are never mixed (numba makes floats of them), and a uint32 product
  is cast back to uint32;
- an index is never computed from data without a bound: production runs without bounds checks,
  tests run with them.
"""
