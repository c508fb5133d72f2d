"""The benchmark: one job, done by a worker, by hand and by a plain faust agent, on the same events and servers."""
