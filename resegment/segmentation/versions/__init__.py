"""Definitions that change: eras, switches from one version to the next, and what differs between two versions."""
