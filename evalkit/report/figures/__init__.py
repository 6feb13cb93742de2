"""One picture a file. `evalkit.report.figures.canvas` is the only module that imports matplotlib's parts."""
