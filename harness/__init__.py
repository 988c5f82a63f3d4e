"""What measures the package from outside: benchmark and robustness."""
