"""The one clock: what a network takes on a runtime. `compare`, `profile`, `scale` and int8 exports time with it.

A pass is one inference of one candidate, a network on a runtime. A turn is a few passes in a row. In a round every
candidate takes one turn, in an order that is drawn. A burst is several rounds in worker processes of its own, and a
measurement is several bursts that lie apart, on a machine that other processes leave alone.

workers        processes that are stopped between their turns
interleaving   rounds, and what is said of times whose turns are paired
burst          the candidates, and one burst of them
steadiness     what other processes and the machine did meanwhile
schedule       when bursts are taken, waiting for a quiet machine
torch_session  what a worker with a network in PyTorch does
measure        all of it: candidates in, a RuntimeProfile out, and its costs as CostProfiles
"""
