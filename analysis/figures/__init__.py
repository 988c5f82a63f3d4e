"""Figures and tables of the book and the notebooks, in both languages."""
