"""``bench allreduce``: what it costs to reduce a vector over the ranks of an MPI job.

A *method* is one way to do it; *prepare* makes a *case* of it that holds its arrays and reduces one
gradient after the other. To add a method, add one object to its family's file in `methods`.
"""
