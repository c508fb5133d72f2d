"""Everything that touches faust or private parts of Kafka clients, and nothing else."""
