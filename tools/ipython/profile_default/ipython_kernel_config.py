"""The IPython profile of the Makefile's runs: without the kernel's line about TCP, which is meant for shared hosts."""

c = get_config()  # noqa: F821, provided by IPython
c.IPKernelApp.log_level = 40
