"""Random schedules in one process, on a virtual clock: every port call is a point where anything may happen."""
