"""`sealwire sweep`: erase synthetic people in every category and look everywhere for what is left of them.

Nothing outside this package imports it: the faults of `mutants` and `bad_keeper` exist in no process of a cloud.
"""
