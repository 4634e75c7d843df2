"""The one clock: what a network takes on a runtime, in bursts of processes of their own, until it is steady."""
