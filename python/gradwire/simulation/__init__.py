"""``python -m gradwire simulate``: the schedules on virtual ranks, counted and timed by the model.

``simulate --check`` puts the model's predictions beside what a running job measures.
"""
