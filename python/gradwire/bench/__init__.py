"""Benchmarks: ``python -m gradwire bench``. Nothing here is imported by ``import gradwire``.

A *row* is one operation on one input; *subjects* do its work: gradwire's kernel in one instruction
set, or a *peer*, the same job by NumPy or torch. To add a row, add one object to a file in `rows`.
"""
