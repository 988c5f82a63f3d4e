"""Figures and tables of the book and the notebooks: one function each, with `lang="ca"` or `lang="en"`."""
