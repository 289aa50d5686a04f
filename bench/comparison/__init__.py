"""Measures Quiltwork beside its peers: the same work, in turns, on the same two worker processes."""
