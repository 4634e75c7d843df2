"""What a network costs: MACs and memory by analysis, latency by measurement."""
