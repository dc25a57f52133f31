"""What ``shift.py`` measures, a part per module: ``keys`` of its jobs, ``measure`` for their rows, ``summary`` of all."""
