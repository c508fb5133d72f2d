"""The consumer of a worker: everything that touches faust, and nothing else."""
