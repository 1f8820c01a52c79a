"""Ports in memory. Each passes the contract suite (`tests/contract/`) that its real adapter passes."""
