"""Plan and run a comparison: the place where training and profiling meet."""
