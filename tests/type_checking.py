"""The checker that the import hook of ``conftest.py`` puts on signatures."""

from beartype import BeartypeConf, beartype

#: An int is a float, as Python's typing has it; beartype alone takes it for none.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
