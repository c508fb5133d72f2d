"""Prometheus alerts and Grafana dashboards, made from the metrics that the code declares."""
