"""Penstock: files dropped in S3 become rows and documents, each exactly once."""

__version__ = "0.1.0"
