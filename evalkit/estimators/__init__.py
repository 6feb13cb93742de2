"""One estimator a file. Each module defines ``estimator``; `evalkit.core.discover` finds it."""
