"""Proofs about a segments file, without any events."""
