"""The use cases. Each reads like the sentence that describes it, and sees the world only through `penstock.ports`."""
