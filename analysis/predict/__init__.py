"""Energies and forces of molecules that someone hands in, and where they hold."""
