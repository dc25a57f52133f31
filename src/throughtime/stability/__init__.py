"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

__all__: list[str] = []
