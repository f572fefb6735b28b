"""How gradwire meets an unmodified Horovod: who calls, what Horovod sums, what gradwire moves."""
