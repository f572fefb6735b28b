"""``bench training``: what compression does to the steps and the loss of a real model.

A *task* is a model and its data; a *method* is one way to bring its gradients to their mean over
the ranks of an MPI job; a *reducer* is a method at work. To add a method, add a line to `methods`.
"""
