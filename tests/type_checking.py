"""The checker that the import hook of ``conftest.py`` puts on signatures."""

from beartype import BeartypeConf, beartype

#: An int is a float, as Python's typing has it; beartype alone takes it for none.  Of a list it looks at one item, the
#: first and not a random one: a run tells what the run before told.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True, is_random=False))
