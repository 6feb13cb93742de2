"""From incident and camera rows to one city's panel.

Import from the modules: `evalkit.panel.store` reads a panel without loading scipy.
"""
