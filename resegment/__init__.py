"""Event-driven dynamic segmentation for B2B go-to-market teams."""

__version__ = "0.1.0"
