"""``python -m gradwire simulate``: the schedules on virtual ranks, counted, timed by the model, and
that model's predictions beside what a running job measures."""
