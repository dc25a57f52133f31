"""What the benchmarks measure against, written as its own users would for speed."""
